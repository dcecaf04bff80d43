// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ipvs/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

namespace dnsdirector::dataplane::ipvs {
namespace {

constexpr std::size_t spare_lines = 4096;    // that may be past before the file is written anew
constexpr std::size_t most_tallies = 65536;  // of servers that are not there any more, too

std::string words(const core::ServiceKey& key) {
    return fmt::format("{} {} {} {}", to_string(key.protocol), key.address.to_string(), key.port,
                       key.fwmark);
}

std::string count_line(const core::ServiceKey& key, const Endpoint* server, const Tally& tally) {
    return fmt::format("count {} {} {} {} {} {} {}\n", words(key),
                       server != nullptr ? server->address.to_string() : "-",
                       server != nullptr ? server->port : 0, tally.before().packets,
                       tally.before().bytes, tally.last().packets, tally.last().bytes);
}

std::optional<core::ServiceKey> read_key(std::istream& in) {
    std::string protocol;
    std::string address;
    core::ServiceKey key;
    if (!(in >> protocol >> address >> key.port >> key.fwmark)) return std::nullopt;
    const auto parsed = IpAddress::parse(address);
    if (!parsed || (protocol != "udp" && protocol != "tcp")) return std::nullopt;
    key.address = *parsed;
    key.protocol = protocol == "udp" ? Protocol::udp : Protocol::tcp;
    return key;
}

bool write_all(int file, const std::string& text) {
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t written = write(file, text.data() + done, text.size() - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        done += static_cast<std::size_t>(written);
    }
    return true;
}

std::string head(const std::string& boot) {
    return "dnsdirector ipvs 1 " + boot;
}

}  // namespace

Result<Journal> Journal::open(std::string path, std::string boot) {
    Journal journal{std::move(path), std::move(boot)};
    journal.load();
    while (journal.needed_lines() > most_tallies && !journal.tallies_.empty())
        journal.tallies_.erase(std::prev(journal.tallies_.end()));
    if (auto written = journal.rewrite(); !written) return tl::unexpected(written.error());
    return journal;
}

Journal::Journal(Journal&& other) noexcept
    : path_(std::move(other.path_)),
      boot_(std::move(other.boot_)),
      file_(std::exchange(other.file_, -1)),
      lines_(other.lines_),
      waiting_(std::move(other.waiting_)),
      torn_(other.torn_),
      own_(std::move(other.own_)),
      tallies_(std::move(other.tallies_)) {}

Journal::~Journal() {
    if (file_ >= 0) close(file_);
}

void Journal::load() {
    std::ifstream in{path_};
    std::string line;
    if (!std::getline(in, line) || line != head(boot_)) return;
    // A crash may have cut the last line: what can't be read is left out.
    while (std::getline(in, line))
        read_line(line);
}

bool Journal::read_line(const std::string& line) {
    std::istringstream in{line};
    std::string what;
    in >> what;
    const auto key = read_key(in);
    if (!key) return false;
    if (what == "own") return own_.insert(*key).second;
    if (what == "gone") return own_.erase(*key) != 0;
    if (what != "count") return false;
    std::string address;
    std::uint16_t port = 0;
    Count before;
    Count last;
    if (!(in >> address >> port >> before.packets >> before.bytes >> last.packets >> last.bytes))
        return false;
    Tallies& tallies = tallies_[*key];
    const Tally tally{before, last};
    if (address == "-") {
        tallies.service = tally;
        return true;
    }
    const auto server = IpAddress::parse(address);
    if (server) tallies.servers[{*server, port}] = tally;
    return server.has_value();
}

Result<void> Journal::rewrite() {
    std::string text = head(boot_) + "\n";
    for (const core::ServiceKey& key : own_)
        text += "own " + words(key) + "\n";
    for (const auto& [key, tallies] : tallies_) {
        text += count_line(key, nullptr, tallies.service);
        for (const auto& [server, tally] : tallies.servers)
            text += count_line(key, &server, tally);
    }

    const std::string temporary = path_ + ".new";
    const int file =
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    if (file < 0) return fail_errno("cannot create " + temporary, errno);
    // No fsync: the file must outlive the process, not the machine.
    if (!write_all(file, text) || rename(temporary.c_str(), path_.c_str()) < 0) {
        const int error = errno;
        close(file);
        unlink(temporary.c_str());
        return fail_errno("cannot write " + path_, error);
    }
    if (file_ >= 0) close(file_);
    file_ = file;
    lines_ = needed_lines();
    waiting_.clear();
    torn_ = false;
    return {};
}

std::size_t Journal::needed_lines() const {
    std::size_t lines = own_.size() + tallies_.size();
    for (const auto& [key, tallies] : tallies_)
        lines += tallies.servers.size();
    return lines;
}

void Journal::add(const std::string& line) {
    waiting_ += line;
    ++lines_;
}

Result<void> Journal::flush() {
    if (waiting_.empty() && !torn_) return {};
    const bool mostly_past = lines_ > spare_lines && lines_ > 2 * needed_lines() + spare_lines;
    if (torn_ || mostly_past) return rewrite();
    if (write_all(file_, std::exchange(waiting_, {}))) return {};
    torn_ = true;  // half a line may stand at its end
    return fail_errno("cannot write " + path_, errno);
}

Result<void> Journal::claim(const core::ServiceKey& key) {
    if (!own_.insert(key).second) return {};
    add("own " + words(key) + "\n");
    auto written = flush();
    if (!written) own_.erase(key);
    return written;
}

Result<void> Journal::release(const core::ServiceKey& key) {
    if (own_.erase(key) == 0) return {};
    add("gone " + words(key) + "\n");
    return flush();
}

void Journal::note(const core::ServiceKey& key, const Endpoint* server, const Tally& tally) {
    add(count_line(key, server, tally));
}

Result<void> Journal::restore() {
    struct stat here{};
    struct stat there{};
    if (fstat(file_, &here) == 0 && stat(path_.c_str(), &there) == 0 &&
        here.st_ino == there.st_ino && here.st_dev == there.st_dev)
        return {};
    return rewrite();
}

void Journal::remove() {
    own_.clear();
    tallies_.clear();
    waiting_.clear();
    unlink(path_.c_str());
}

}  // namespace dnsdirector::dataplane::ipvs
