// SPDX-License-Identifier: Apache-2.0
#include "unit/support/traced.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string_view>
#include <utility>

namespace dnsdirector::support {
namespace {

/// An unnamed file that holds this text, its offset at the beginning.
int file_with(const std::string& text) {
    char name[] = "/tmp/dnsdirector-traced-XXXXXX";
    const int file = mkstemp(name);
    EXPECT_GE(file, 0) << std::strerror(errno);
    unlink(name);
    EXPECT_EQ(write(file, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    lseek(file, 0, SEEK_SET);
    return file;
}

std::string content_of(int file) {
    std::string text;
    char buffer[4096];
    lseek(file, 0, SEEK_SET);
    for (ssize_t got = 0; (got = read(file, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    return text;
}

/// "" when the call leaves everything as it was.
std::string step_of(const __ptrace_syscall_info& info) {
    static const std::map<std::uint64_t, const char*> calls{
#ifdef SYS_unlink  // architectures that came later have the …at calls alone
        {SYS_unlink, "unlink"},   {SYS_rename, "rename"},    {SYS_mkdir, "mkdir"},
        {SYS_rmdir, "rmdir"},
#endif
        {SYS_unlinkat, "unlink"}, {SYS_renameat2, "rename"}, {SYS_mkdirat, "mkdir"}};
    static const std::map<std::uint64_t, const char*> commands{
        {BPF_MAP_UPDATE_ELEM, "BPF_MAP_UPDATE_ELEM"},
        {BPF_MAP_DELETE_ELEM, "BPF_MAP_DELETE_ELEM"},
        {BPF_OBJ_PIN, "BPF_OBJ_PIN"},
        {BPF_LINK_CREATE, "BPF_LINK_CREATE"},
        {BPF_LINK_UPDATE, "BPF_LINK_UPDATE"},
        {BPF_LINK_DETACH, "BPF_LINK_DETACH"}};
    const bool is_bpf = info.entry.nr == SYS_bpf;
    const auto& names = is_bpf ? commands : calls;
    const auto found = names.find(is_bpf ? info.entry.args[0] : info.entry.nr);
    return found == names.end() ? "" : found->second;
}

pid_t start(const std::vector<std::string>& command, int input, int output) {
    std::vector<char*> arguments;
    for (const std::string& word : command)
        arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t child = fork();
    if (child != 0) return child;
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    execv(arguments[0], arguments.data());  // stops, since it is traced
    _exit(127);
}

}  // namespace

TracedRun run_traced(const std::vector<std::string>& command, const std::string& input,
                     std::size_t kill_at, const std::function<void()>& at_step) {
    TracedRun run;
    const int in = file_with(input);
    const int out = file_with("");
    const pid_t child = start(command, in, out);
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    int signal = 0;
    while (WIFSTOPPED(status)) {
        if (ptrace(PTRACE_SYSCALL, child, nullptr, signal) != 0) break;
        signal = 0;
        if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) break;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
            signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
            continue;
        }
        __ptrace_syscall_info info{};
        ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info);
        if (info.op != PTRACE_SYSCALL_INFO_ENTRY) continue;
        const std::string step = step_of(info);
        if (step.empty()) continue;
        run.steps.push_back(step);
        if (at_step) at_step();
        if (run.steps.size() != kill_at) continue;
        kill(child, SIGKILL);  // the call is not made any more
        waitpid(child, &status, 0);
        break;
    }
    run.killed = WIFSIGNALED(status);
    run.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    run.output = content_of(out);
    close(in);
    close(out);
    return run;
}

std::vector<std::size_t> for_this_run(const std::vector<std::size_t>& steps, std::size_t ordinary) {
    const char* const is_long = std::getenv("DNSDIRECTOR_LONG");
    if (steps.size() <= ordinary || (is_long != nullptr && is_long == std::string_view{"1"}))
        return steps;
#ifdef DNSDIRECTOR_SANITIZED
    constexpr std::size_t half_ways = 1;
#else
    constexpr std::size_t half_ways = 0;
#endif
    std::vector<std::size_t> some;
    some.reserve(ordinary);
    for (std::size_t i = 0; i < ordinary; ++i)
        some.push_back(steps[(2 * i + half_ways) * steps.size() / (2 * ordinary)]);
    return some;
}

}  // namespace dnsdirector::support
