// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "realserver/descriptor.h"
#include "realserver/journal.h"

namespace dnsdirector::realserver {
namespace {

constexpr std::chrono::seconds lock_patience{10};
constexpr std::chrono::milliseconds lock_pause{20};

std::string path_in(const std::string& run_dir) {
    return run_dir + "/realserver.json";
}

class JournalFile final : public JournalStore {
public:
    JournalFile(Descriptor directory, std::string path, Place place)
        : directory_(std::move(directory)), path_(std::move(path)), place_(std::move(place)) {}

    Result<Journal> load() override;
    Result<void> save(const Journal& journal) override;

private:
    Descriptor directory_;  ///< locked
    std::string path_;
    Place place_;
};

Result<Journal> JournalFile::load() {
    std::ifstream file{path_};
    if (!file) {
        if (errno == ENOENT) return Journal{};
        return fail_errno(fmt::format("cannot read {}, which says what was there before", path_),
                          errno);
    }
    std::ostringstream text;
    text << file.rdbuf();
    auto journal = from_json(text.str(), place_);
    if (!journal)
        return fail("{}, which says what was there before, is of no use: {}", path_,
                    journal.error().message);
    return journal;
}

Result<void> JournalFile::save(const Journal& journal) {
    if (journal.empty()) {
        if (unlink(path_.c_str()) != 0 && errno != ENOENT)
            return fail_errno("cannot remove " + path_, errno);
        return {};
    }
    const std::string temporary = path_ + ".new";
    const auto failed_to = [&](const char* what) {
        const int error = errno;
        unlink(temporary.c_str());
        return fail_errno(fmt::format("cannot {} {}", what, temporary), error);
    };
    {
        const Descriptor file{
            open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
        if (file.get() < 0) return failed_to("create");
        if (!write_whole(file.get(), to_json(journal, place_))) return failed_to("write");
        if (fsync(file.get()) != 0) return failed_to("write out");
    }
    if (rename(temporary.c_str(), path_.c_str()) != 0) return failed_to("rename into place");
    if (fsync(directory_.get()) != 0) return failed_to("write out the folder of");
    return {};
}

}  // namespace

Result<Place> this_place() {
    Place place;
    std::ifstream boot{"/proc/sys/kernel/random/boot_id"};
    if (!std::getline(boot, place.boot))
        return fail("cannot read /proc/sys/kernel/random/boot_id; /proc must be mounted");
    struct stat status{};
    // Of this thread, which is what netlink and /proc/sys/net go by.
    if (stat("/proc/thread-self/ns/net", &status) != 0)
        return fail_errno("cannot look at /proc/thread-self/ns/net", errno);
    place.network_namespace = status.st_ino;
    return place;
}

Result<std::unique_ptr<JournalStore>> open_journal(const std::string& run_dir) {
    auto place = this_place();
    if (!place) return tl::unexpected(place.error());
    std::error_code error;
    std::filesystem::create_directories(run_dir, error);
    if (error)
        return fail_errno(fmt::format("cannot make the run directory {}", run_dir), error.value());
    // The lock is on the directory: there is no file that would have to be left. It goes to nft,
    // too (no O_CLOEXEC), which lives on when we are killed: until it is done, nobody looks.
    Descriptor directory{open(run_dir.c_str(), O_RDONLY | O_DIRECTORY)};
    if (directory.get() < 0) return fail_errno("cannot open the run directory " + run_dir, errno);
    const auto give_up = std::chrono::steady_clock::now() + lock_patience;
    while (flock(directory.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail_errno("cannot lock the run directory " + run_dir, errno);
        if (std::chrono::steady_clock::now() >= give_up)
            return fail(
                "another `realserver` command is at work with the run directory {} and was not "
                "done after {} s; see what it waits for, or end it",
                run_dir, lock_patience.count());
        std::this_thread::sleep_for(lock_pause);
    }
    return std::make_unique<JournalFile>(std::move(directory), path_in(run_dir), std::move(*place));
}

Result<Journal> peek_journal(const std::string& run_dir) {
    auto place = this_place();
    if (!place) return tl::unexpected(place.error());
    return JournalFile(Descriptor{-1}, path_in(run_dir), std::move(*place)).load();
}

}  // namespace dnsdirector::realserver
