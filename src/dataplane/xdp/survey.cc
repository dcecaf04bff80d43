// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/survey.h"

#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "dataplane/xdp/fd.h"
#include "dataplane/xdp/maps.h"

namespace dnsdirector::dataplane {
namespace {

/// Enough for the verifier; full-sized tables could take what the machine does not have.
constexpr std::uint32_t most_entries = 1024;

void make_small(xdp::abi::director& program) {
    xdp::Maps::set_sizes(program, {.services = 1, .real_servers = 1, .slots = 1024});
    for (const auto& [name, map] : xdp::Maps::all(program))
        bpf_map__set_max_entries(map, std::min(bpf_map__max_entries(map), most_entries));
}

Result<bpf_prog_info> info_of(int fd) {
    bpf_prog_info info{};
    std::uint32_t length = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0)
        return fail_errno("cannot read about a BPF program", errno);
    return info;
}

/// A frame to nobody's MAC: the program has to leave it to the local stack.
Result<void> run_once(int fd) {
    std::array<std::uint8_t, 64> frame{0x02, 0, 0, 0, 0, 0x99};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
                .data_size_in = static_cast<std::uint32_t>(frame.size()), .repeat = 1);
    if (bpf_prog_test_run_opts(fd, &options) != 0)
        return fail_errno("the kernel does not run the forwarding program", errno);
    if (options.retval != XDP_PASS)
        return fail("the forwarding program answers {} to a foreign frame, not XDP_PASS ({})",
                    options.retval, static_cast<int>(XDP_PASS));
    return {};
}

}  // namespace

Result<ProgramTrial> try_xdp_program() {
    xdp::keep_libbpf_log();
    const xdp::Program program{xdp::abi::director__open()};
    if (!program) return fail_errno("cannot open the embedded BPF object", errno);
    make_small(*program);
    if (const int error = xdp::abi::director__load(program.get()); error != 0)
        return fail("the kernel refuses the forwarding program: {}: {}", std::strerror(-error),
                    xdp::take_libbpf_log());
    const int fd = bpf_program__fd(program->progs.director);
    const auto info = info_of(fd);
    if (!info) return tl::unexpected(info.error());
    if (auto ran = run_once(fd); !ran) return tl::unexpected(ran.error());
    return ProgramTrial{info->verified_insns, info->jited_prog_len != 0};
}

Result<LoadedProgram> loaded_program(std::uint32_t id) {
    const xdp::Fd fd{bpf_prog_get_fd_by_id(id)};
    if (!fd) return fail_errno("cannot look at the XDP program " + std::to_string(id), errno);
    const auto info = info_of(fd.get());
    if (!info) return tl::unexpected(info.error());
    xdp::keep_libbpf_log();
    const xdp::Program ours{xdp::abi::director__open()};
    const std::string name = info->name;
    return LoadedProgram{name, ours && name == bpf_program__name(ours->progs.director)};
}

Result<PinPlace> pin_place(const std::string& pin_dir) {
    namespace fs = std::filesystem;
    std::error_code error;
    fs::path there = fs::absolute(pin_dir, error);
    while (!fs::exists(there, error) && there.has_relative_path())
        there = there.parent_path();
    struct statfs system{};
    if (statfs(there.c_str(), &system) != 0)
        return fail_errno("cannot look at the pin directory " + there.string(), errno);
    return PinPlace{there.string(), system.f_type == BPF_FS_MAGIC,
                    access(there.c_str(), W_OK | X_OK) == 0};
}

}  // namespace dnsdirector::dataplane
