// SPDX-License-Identifier: Apache-2.0
#include "probe/file_reader.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "probe/descriptor.h"

namespace dnsdirector::probe {
namespace {

constexpr std::size_t longest_number = 127;  // keepalived reads as much

FileStart failed(int error) {
    return {.failure = std::generic_category().message(error)};
}

}  // namespace

FileStart read_file_start(const std::string& path) {
    // Looked at before it is opened, since opening a device can do something to it.
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return {.missing = true};
        return failed(errno);
    }
    if (!S_ISREG(status.st_mode)) return {.failure = "not a regular file"};
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file.open()) {
        if (errno == ENOENT) return {.missing = true};
        return failed(errno);
    }
    // It may have become another one since.
    if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
        return {.failure = "not a regular file"};
    std::array<char, longest_number> buffer;
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0) return failed(errno);
    return {.text = std::string(buffer.data(), static_cast<std::size_t>(got))};
}

/// Belongs to the reader and its threads, whoever is the last.
struct FileReader::Shared {
    struct Request {
        std::shared_ptr<Read> read;
        std::uint64_t owner = 0;
    };
    explicit Shared(ReadFile function)
        : read_file(std::move(function)), event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
    void work();
    // The mutex is held.
    Request take_request();
    void finish(const Request& request, FileStart start);
    static void add_thread(const std::shared_ptr<Shared>& shared);

    const ReadFile read_file;
    const Descriptor event;
    std::mutex mutex;
    std::condition_variable wanted;
    std::deque<Request> requests;
    std::vector<std::uint64_t> done;  ///< owners
    std::size_t threads = 0, idle = 0;
    bool stopping = false;
};

FileReader::Shared::Request FileReader::Shared::take_request() {
    Request request = std::move(requests.front());
    requests.pop_front();
    return request;
}

void FileReader::Shared::finish(const Request& request, FileStart start) {
    request.read->start = std::move(start);
    request.read->done = true;
    done.push_back(request.owner);
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t put = ::write(event.get(), &one, sizeof one);
}

void FileReader::Shared::work() {
    std::unique_lock lock(mutex);
    while (true) {
        ++idle;
        wanted.wait(lock, [this] { return stopping || !requests.empty(); });
        --idle;
        if (stopping) return;
        const Request request = take_request();
        lock.unlock();
        FileStart start = read_file(request.read->path);
        lock.lock();
        finish(request, std::move(start));
    }
}

void FileReader::Shared::add_thread(const std::shared_ptr<Shared>& shared) {
    // The director's signals are for its own thread; the new one inherits the mask.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::thread([shared] { shared->work(); }).detach();
    } catch (const std::system_error& error) {
        const std::lock_guard lock(shared->mutex);
        --shared->threads;  // those that there are do the work
        while (shared->threads == 0 && !shared->requests.empty()) {
            const Request request = shared->take_request();
            shared->finish(request, {.failure = std::string("no thread for it: ") + error.what()});
        }
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

FileReader::FileReader(ReadFile read_file)
    : shared_(std::make_shared<Shared>(std::move(read_file))) {}

FileReader::~FileReader() {
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->stopping = true;
    }
    shared_->wanted.notify_all();
}

std::shared_ptr<const FileReader::Read> FileReader::submit(const std::string& path,
                                                           std::uint64_t owner) {
    auto read = std::make_shared<Read>(path);
    bool one_more = false;
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->requests.push_back({read, owner});
        one_more = shared_->idle < shared_->requests.size() && shared_->threads < most_threads;
        if (one_more) ++shared_->threads;
    }
    shared_->wanted.notify_one();
    if (one_more) Shared::add_thread(shared_);
    return read;
}

int FileReader::descriptor() const {
    return shared_->event.get();
}

std::vector<std::uint64_t> FileReader::take() {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(shared_->event.get(), &count, sizeof count);
    const std::lock_guard lock(shared_->mutex);
    return std::exchange(shared_->done, {});
}

}  // namespace dnsdirector::probe
