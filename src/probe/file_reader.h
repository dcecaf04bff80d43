// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dnsdirector::probe {

/// The beginning of a file.
struct FileStart {
    std::string failure;  ///< why it could not be read; "" it could
    bool missing = false;
    std::string text;  ///< at most 127 bytes
};

/// Reads it; blocks as long as the file system does. What is no regular file is a failure.
[[nodiscard]] FileStart read_file_start(const std::string& path);

/// Threads that read files, so that a file system that hangs (NFS) holds up
/// neither the event loop nor, up to `most_threads` of such files, the others'
/// reads. A thread is started when a read finds none idle.
class FileReader {
public:
    static constexpr std::size_t most_threads = 8;

    /// One read: `start` may be looked at once `done` is true.
    struct Read {
        explicit Read(std::string file) : path(std::move(file)) {}
        const std::string path;
        FileStart start;
        std::atomic<bool> done = false;
    };
    using ReadFile = std::function<FileStart(const std::string& path)>;

    explicit FileReader(ReadFile read_file = read_file_start);
    /// Does not wait for a read that hangs; its thread ends by itself once it is back.
    ~FileReader();
    FileReader(const FileReader&) = delete;
    FileReader& operator=(const FileReader&) = delete;

    /// `owner` is what take() returns when the read is done.
    [[nodiscard]] std::shared_ptr<const Read> submit(const std::string& path, std::uint64_t owner);
    /// Readable when take() has something.
    [[nodiscard]] int descriptor() const;
    [[nodiscard]] std::vector<std::uint64_t> take();

private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
};

}  // namespace dnsdirector::probe
