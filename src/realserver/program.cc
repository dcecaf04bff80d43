// SPDX-License-Identifier: Apache-2.0
#include "realserver/program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string_view>

#include "realserver/descriptor.h"

namespace dnsdirector::realserver {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
    Descriptor read;
    Descriptor write;
};

Result<Pipe> make_pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return fail_errno("cannot make a pipe", errno);
    return Pipe{Descriptor{ends[0]}, Descriptor{ends[1]}};
}

/// A file in memory that holds `input`: a program that does not read it holds up nobody.
Result<Descriptor> input_file(const std::string& input) {
    Descriptor file{memfd_create("input", MFD_CLOEXEC)};
    if (file.get() < 0) return fail_errno("cannot make a file in memory", errno);
    if (!write_whole(file.get(), input)) return fail_errno("cannot write a file in memory", errno);
    lseek(file.get(), 0, SEEK_SET);
    return file;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (std::string& text : texts)
        pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
}

/// Ours, but for the language: error messages are read here, and shown.
std::vector<std::string> english_environment() {
    std::vector<std::string> all;
    for (char** each = environ; *each != nullptr; ++each)
        if (const std::string_view text = *each; !text.starts_with("LC_ALL="))
            all.emplace_back(text);
    all.emplace_back("LC_ALL=C");
    return all;
}

int spawn(pid_t& child, std::vector<std::string> arguments, int in, int out, int err) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, err, 2);
    // What the caller ignores or holds back is no business of the program's.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::vector<std::string> environment = english_environment();
    const std::string name = arguments[0];
    int error = ENOENT;
    for (const std::string& path : {name, "/usr/sbin/" + name, "/sbin/" + name}) {
        error = posix_spawnp(&child, path.c_str(), &actions, &attributes,
                             pointers_to(arguments).data(), pointers_to(environment).data());
        if (error != ENOENT) break;
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/// Appends what is there; false at the end.
bool drain(int fd, std::string& text) {
    std::array<char, 16384> buffer;
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n > 0) text.append(buffer.data(), static_cast<std::size_t>(n));
    return n > 0 || (n < 0 && errno == EINTR);
}

/// Reads both pipes and waits for the program's end, until the deadline. False: it has passed.
bool listen_to(int child, Pipe& out, Pipe& err, ProgramOutput& output, Clock::time_point deadline) {
    std::array<pollfd, 3> waiting = {
        {{out.read.get(), POLLIN, 0}, {err.read.get(), POLLIN, 0}, {child, POLLIN, 0}}};
    std::string* const texts[] = {&output.out, &output.err};
    while (waiting[0].fd >= 0 || waiting[1].fd >= 0 || waiting[2].fd >= 0) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0) return false;
        const int ready = poll(waiting.data(), waiting.size(), static_cast<int>(left.count()));
        if (ready < 0 && errno != EINTR) return false;
        if (ready <= 0) continue;
        for (std::size_t at = 0; at < 2; ++at)
            if (waiting[at].revents != 0 && !drain(waiting[at].fd, *texts[at])) waiting[at].fd = -1;
        if (waiting[2].revents != 0) waiting[2].fd = -1;
    }
    return true;
}

Result<int> status_of(pid_t child, const std::string& name) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return fail_errno("cannot learn how " + name + " ended", errno);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Result<ProgramOutput> run_program(const std::vector<std::string>& arguments,
                                  const std::string& input, Nanoseconds limit) {
    const std::string& name = arguments.at(0);
    const auto deadline = Clock::now() + limit;
    auto in = input_file(input);
    if (!in) return tl::unexpected(in.error());
    auto out = make_pipe();
    if (!out) return tl::unexpected(out.error());
    auto err = make_pipe();
    if (!err) return tl::unexpected(err.error());
    pid_t child = 0;
    if (const int error = spawn(child, arguments, in->get(), out->write.get(), err->write.get());
        error == ENOENT)
        return fail("there is no program {} on this machine; install the package that has it",
                    name);
    else if (error != 0)
        return fail_errno("cannot run " + name, error);
    out->write.reset();
    err->write.reset();
    // Not pidfd_open(): glibc 2.36 declares it for C alone.
    const Descriptor watched{static_cast<int>(syscall(SYS_pidfd_open, child, 0))};
    ProgramOutput output;
    const bool ended = listen_to(watched.get(), *out, *err, output, deadline);
    if (!ended) kill(child, SIGKILL);
    const auto status = status_of(child, name);
    if (!ended)
        return fail("{} did not come to an end within {} s, and was killed", name,
                    std::chrono::duration_cast<std::chrono::seconds>(limit).count());
    if (!status) return tl::unexpected(status.error());
    output.status = *status;
    return output;
}

}  // namespace dnsdirector::realserver
