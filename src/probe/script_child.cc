// SPDX-License-Identifier: Apache-2.0
#include "probe/script_child.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

namespace dnsdirector::probe {
namespace {

struct Account {
    std::string name;
    uid_t user = 0;
    gid_t group = 0;
    std::vector<gid_t> groups;
};

/// Nothing where there is no such user.
std::optional<Account> find_account(const std::string& name) {
    std::array<char, 16384> buffer;
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
        found == nullptr)
        return std::nullopt;
    Account account{name, entry.pw_uid, entry.pw_gid, std::vector<gid_t>(64)};
    int count = static_cast<int>(account.groups.size());
    if (::getgrouplist(name.c_str(), entry.pw_gid, account.groups.data(), &count) < 0) {
        account.groups.resize(static_cast<std::size_t>(count));
        ::getgrouplist(name.c_str(), entry.pw_gid, account.groups.data(), &count);
    }
    account.groups.resize(static_cast<std::size_t>(count));
    return account;
}

/// Whom a script runs as; no account: as the director itself.
Result<std::optional<Account>> choose_account(const std::string& named) {
    const bool root = ::geteuid() == 0;
    if (named.empty()) return root ? find_account("keepalived_script") : std::nullopt;
    std::optional<Account> account = find_account(named);
    if (!account) return fail("cannot run a script as user {}: there is no such user", named);
    if (account->user == ::geteuid()) return std::nullopt;
    if (!root)
        return fail(
            "cannot run a script as user {}: the director runs as another one and is not "
            "root",
            named);
    return account;
}

enum class Stage { exec, user, output };

/// Everything the child needs, made before it exists: it shares our memory and
/// may call nothing that allocates or locks.
struct Plan {
    const char* path = nullptr;
    std::vector<char*> arguments;
    std::array<char*, 3> environment{};
    const Account* account = nullptr;
    const char* output = nullptr;
    const char* errors = nullptr;  ///< nullptr: where `output` goes
    rlimit files{};
    // Written by the child where it fails.
    Stage stage = Stage::exec;
    const char* object = nullptr;
    int error = 0;
};

[[noreturn]] void give_up(Plan& plan, Stage stage, const char* object) {
    plan.stage = stage;
    plan.object = object;
    plan.error = errno;
    ::_exit(127);
}

/// Raw system calls: glibc's would have all threads of the process follow.
void become(Plan& plan) {
    const Account& account = *plan.account;
    if (::syscall(SYS_setgroups, account.groups.size(), account.groups.data()) != 0 ||
        ::syscall(SYS_setresgid, account.group, account.group, account.group) != 0 ||
        ::syscall(SYS_setresuid, account.user, account.user, account.user) != 0)
        give_up(plan, Stage::user, account.name.c_str());
}

/// Not blocking, since a FIFO without a reader would hold us for ever.
int open_output(Plan& plan, const char* path) {
    constexpr mode_t mode = 0644;
    const int file = ::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, mode);
    if (file < 0) give_up(plan, Stage::output, path);
    ::fcntl(file, F_SETFL, O_WRONLY);
    return file;
}

void reset_signals() {
    for (int signal = 1; signal < NSIG; ++signal) {
        struct sigaction action{};
        action.sa_handler = SIG_DFL;
        ::sigaction(signal, &action, nullptr);
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

int child_main(void* argument) {
    Plan& plan = *static_cast<Plan*>(argument);
    ::setpgid(0, 0);
    ::setrlimit(RLIMIT_NOFILE, &plan.files);
    ::umask(S_IWGRP | S_IWOTH);
    if (plan.account != nullptr) become(plan);
    // After the change of user, which clears it. The director's death is the script's.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::chdir("/") != 0) give_up(plan, Stage::exec, "/");

    const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (input < 0) give_up(plan, Stage::output, "/dev/null");
    const int output = open_output(plan, plan.output);
    const int errors = plan.errors == nullptr ? output : open_output(plan, plan.errors);
    if (::dup2(input, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(errors, 2) < 0)
        give_up(plan, Stage::output, plan.output);
    ::close_range(3, ~0U, 0);

    reset_signals();
    ::execve(plan.path, plan.arguments.data(), plan.environment.data());
    give_up(plan, Stage::exec, plan.path);
}

Error explain(const Plan& plan) {
    const std::string text = std::generic_category().message(plan.error);
    switch (plan.stage) {
        case Stage::exec: return {fmt::format("cannot run {}: {}", plan.object, text)};
        case Stage::user:
            return {fmt::format("cannot run {} as user {}: {}", plan.path, plan.object, text)};
        case Stage::output:
            return {fmt::format("cannot write the output of {} to {}: {}", plan.path, plan.object,
                                text)};
    }
    return {text};
}

/// vfork with a pidfd: no copy of the director's page tables, which would cost
/// milliseconds, and this thread alone waits until the child has called exec.
Result<ScriptChild> spawn(Plan& plan) {
    constexpr std::size_t stack_size = 65536;
    const auto stack = std::make_unique<char[]>(stack_size);
    // No handler of ours may run in the child before it has reset them.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    int pidfd = -1;
    const pid_t pid = ::clone(child_main, stack.get() + stack_size,
                              CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan, &pidfd);
    const int error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) return fail_errno(fmt::format("cannot start {}", plan.path), error);
    ScriptChild child{pid, Descriptor(pidfd)};
    if (plan.error == 0) return child;
    siginfo_t ended{};
    ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &ended, WEXITED);
    return tl::unexpected(explain(plan));
}

}  // namespace

Result<ScriptChild> start_script(const core::ScriptCheck& check, const std::string& default_user,
                                 const rlimit& files) {
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    static char language[] = "LANG=C.UTF-8";
    if (check.arguments.empty()) return fail("a script check without a command");

    Result<std::optional<Account>> account =
        choose_account(check.user.empty() ? default_user : check.user);
    if (!account) return tl::unexpected(account.error());

    Plan plan;
    plan.path = check.arguments[0].c_str();
    for (const std::string& argument : check.arguments)
        plan.arguments.push_back(const_cast<char*>(argument.c_str()));
    plan.arguments.push_back(nullptr);
    plan.environment = {path, language, nullptr};
    plan.account = *account ? &**account : nullptr;
    plan.output = check.stdout_to.empty() ? "/dev/null" : check.stdout_to.c_str();
    plan.errors = check.stderr_to == "&1"   ? nullptr
                  : check.stderr_to.empty() ? "/dev/null"
                                            : check.stderr_to.c_str();
    plan.files = files;
    return spawn(plan);
}

}  // namespace dnsdirector::probe
