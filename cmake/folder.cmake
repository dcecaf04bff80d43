# SPDX-License-Identifier: Apache-2.0
# dnsdirector_folder(NAME LINK … [PRECOMPILE …] [ALONE …]): all of src/NAME as a static
# library. Eight of its files at a time are compiled as one, since most of what each takes is
# what all include (DNSDIRECTOR_UNITY); those that match ALONE have names of their own in
# common with others of the folder, and stay by themselves. Its files find DNSDIRECTOR_PRECOMPILED compiled already, by base for all
# folders; a folder with a PRECOMPILE of its own has a header of its own with both.
# A folder without sources yet becomes an interface library, so that the picture of
# CMakeLists.txt is whole from the first commit.
# dnsdirector_unity(TARGET [FILE…]): as said above. FILE is the end of a path, with * for any part.
function(dnsdirector_unity target)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ${DNSDIRECTOR_UNITY}
                          UNITY_BUILD_BATCH_SIZE 8)
    get_target_property(sources ${target} SOURCES)
    foreach(pattern ${ARGN})
        string(REPLACE "." "\\." pattern ${pattern})
        string(REPLACE "*" "[^/]*" pattern ${pattern})
        set(alone ${sources})
        list(FILTER alone INCLUDE REGEX "/${pattern}$")
        if(NOT alone)
            message(FATAL_ERROR "${target}: no file matches ${pattern}; take it out of ALONE")
        endif()
        set_source_files_properties(${alone} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endforeach()
endfunction()

function(dnsdirector_folder name)
    cmake_parse_arguments(FOLDER "" "" "LINK;PRECOMPILE;ALONE" ${ARGN})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
    list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
    if(sources)
        add_library(dnsdirector_${name} STATIC ${sources})
        set(scope PUBLIC)
    else()
        add_library(dnsdirector_${name} INTERFACE)
        set(scope INTERFACE)
    endif()
    if(sources)
        dnsdirector_unity(dnsdirector_${name} ${FOLDER_ALONE})
    endif()
    target_include_directories(dnsdirector_${name} ${scope} ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(dnsdirector_${name} ${scope} ${FOLDER_LINK})
    if(sources AND (FOLDER_PRECOMPILE OR name STREQUAL base))
        target_precompile_headers(dnsdirector_${name} PRIVATE ${DNSDIRECTOR_PRECOMPILED} ${FOLDER_PRECOMPILE})
    elseif(sources)
        target_precompile_headers(dnsdirector_${name} REUSE_FROM dnsdirector_base)
    endif()
endfunction()
