# SPDX-License-Identifier: Apache-2.0
# bpf/*.bpf.c → object → skeleton header (bpftool), as <NAME.skel.h>.
find_program(BPF_CLANG NAMES clang-19 clang REQUIRED)
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)

set(bpf_output ${CMAKE_BINARY_DIR}/bpf)
file(MAKE_DIRECTORY ${bpf_output})
file(GLOB bpf_programs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bpf/*.bpf.c)
file(GLOB bpf_headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bpf/*.h)

set(bpf_skeletons)
foreach(program ${bpf_programs})
    get_filename_component(name ${program} NAME_WE)
    set(object ${bpf_output}/${name}.bpf.o)
    set(skeleton ${bpf_output}/${name}.skel.h)
    add_custom_command(
        OUTPUT ${skeleton}
        COMMAND ${BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter
                -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE} -I${CMAKE_SOURCE_DIR}/bpf
                -c ${program} -o ${object}
        COMMAND ${BPFTOOL} gen skeleton ${object} name ${name} > ${skeleton}
        DEPENDS ${program} ${bpf_headers}
        COMMENT "BPF ${name}"
        VERBATIM)
    list(APPEND bpf_skeletons ${skeleton})
endforeach()

add_custom_target(dnsdirector_bpf_skeletons DEPENDS ${bpf_skeletons})
add_library(dnsdirector_bpf INTERFACE)
add_dependencies(dnsdirector_bpf dnsdirector_bpf_skeletons)
target_include_directories(dnsdirector_bpf INTERFACE ${bpf_output} ${CMAKE_SOURCE_DIR}/bpf)
