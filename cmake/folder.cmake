# SPDX-License-Identifier: Apache-2.0
# dnsdirector_folder(NAME LINK … [PRECOMPILE …]): all of src/NAME as a static
# library. Its files find DNSDIRECTOR_PRECOMPILED compiled already, by base for all
# folders; a folder with a PRECOMPILE of its own has a header of its own with both.
# A folder without sources yet becomes an interface library, so that the picture of
# CMakeLists.txt is whole from the first commit.
function(dnsdirector_folder name)
    cmake_parse_arguments(FOLDER "" "" "LINK;PRECOMPILE" ${ARGN})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
    list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
    if(sources)
        add_library(dnsdirector_${name} STATIC ${sources})
        set(scope PUBLIC)
    else()
        add_library(dnsdirector_${name} INTERFACE)
        set(scope INTERFACE)
    endif()
    target_include_directories(dnsdirector_${name} ${scope} ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(dnsdirector_${name} ${scope} ${FOLDER_LINK})
    if(sources AND (FOLDER_PRECOMPILE OR name STREQUAL base))
        target_precompile_headers(dnsdirector_${name} PRIVATE ${DNSDIRECTOR_PRECOMPILED} ${FOLDER_PRECOMPILE})
    elseif(sources)
        target_precompile_headers(dnsdirector_${name} REUSE_FROM dnsdirector_base)
    endif()
endfunction()
