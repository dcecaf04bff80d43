// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>

#include "packets/notation.h"
#include "packets/words.h"

namespace dnsdirector::packets {
namespace {

using Verdict = Expected::Verdict;

[[nodiscard]] std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Cuts a frame off at every length from an Ethernet header on.
std::vector<Frame> cut_each(const Frame& whole) {
    std::vector<Frame> frames;
    for (std::size_t size = 14; size < whole.size(); ++size)
        frames.emplace_back(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    return frames;
}

/// The same, and the IP header says so: each header behind it is cut short, and
/// all lengths in front of it agree.
std::vector<Frame> short_each(const Frame& whole) {
    std::size_t at = 12;
    const auto word = [&](std::size_t from) { return whole[from] << 8 | whole[from + 1]; };
    while (word(at) == 0x8100 || word(at) == 0x88a8)
        at += 4;
    const bool v4 = word(at) == 0x0800;
    at += 2;
    const std::size_t header = v4 ? std::size_t{whole[at] & 15U} * 4 : 40;
    std::vector<Frame> frames;
    for (std::size_t size = at + header; size < whole.size(); ++size) {
        Frame frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        const std::size_t length = size - at - (v4 ? 0 : header), length_at = at + (v4 ? 2 : 4);
        frame[length_at] = static_cast<std::uint8_t>(length >> 8);
        frame[length_at + 1] = static_cast<std::uint8_t>(length);
        frames.push_back(std::move(frame));
    }
    return frames;
}

class Reader {
public:
    explicit Reader(const std::string& file) { table_.file = file; }

    Table read() {
        std::ifstream in{table_.file};
        if (!in) throw Wrong{"cannot be read"};
        std::string line;
        while (std::getline(in, line)) {
            ++line_;
            const std::string_view text = trimmed(std::string_view{line}.substr(0, line.find('#')));
            if (text.empty()) continue;
            const auto space = std::min(text.find(' '), text.size());
            take(std::string{text.substr(0, space)}, trimmed(text.substr(space)));
        }
        must_have_out();
        return std::move(table_);
    }
    [[nodiscard]] int line() const { return line_; }

private:
    void take(const std::string& directive, std::string_view rest) {
        if (directive == "service") return service(rest);
        if (directive == "let") return let(rest);
        if (directive == "case") {
            must_have_out();
            table_.cases.push_back({std::string{rest}, line_, {}});
            return;
        }
        if (directive != "in" && directive != "out")
            throw Wrong{"neither service, let, case, in nor out: " + directive};
        if (table_.cases.empty()) throw Wrong{"a packet outside of a case"};
        if (directive == "in")
            in(rest);
        else
            out(rest);
    }

    /// service ADDRESS PROTOCOL PORT SCHEDULER to NUMBER[*WEIGHT] …
    void service(std::string_view text) {
        const std::vector<std::string> words = words_of(text);
        if (words.size() < 5 || words[4] != "to")
            throw Wrong{"service ADDRESS PROTOCOL PORT SCHEDULER to SERVER[*WEIGHT] …"};
        core::ServiceForwarding wish;
        const auto address = IpAddress::parse(words[0]);
        if (!address) throw Wrong{"no address: " + words[0]};
        if (words[1] != "udp" && words[1] != "tcp") throw Wrong{"neither udp nor tcp: " + words[1]};
        wish.key = {*address, static_cast<std::uint16_t>(number_of(words[2])),
                    words[1] == "udp" ? Protocol::udp : Protocol::tcp};
        wish.scheduler = scheduler(words[3]);
        for (std::size_t i = 5; i < words.size(); ++i) {
            const auto star = std::min(words[i].find('*'), words[i].size());
            const auto number = static_cast<int>(number_of(words[i].substr(0, star)));
            const std::size_t weight =
                star == words[i].size() ? 1 : number_of(words[i].substr(star + 1));
            wish.destinations.push_back(
                {server(address->family(), number), static_cast<std::uint32_t>(weight)});
        }
        table_.services.push_back(std::move(wish));
    }

    static core::Scheduler scheduler(const std::string& word) {
        for (const auto each :
             {core::Scheduler::wrr, core::Scheduler::rr, core::Scheduler::mh, core::Scheduler::sh})
            if (core::to_string(each) == word) return each;
        throw Wrong{"no scheduler of the XDP plane: " + word};
    }

    /// let NAME = beginning of a packet
    void let(std::string_view text) {
        const auto equals = text.find('=');
        if (equals == std::string_view::npos) throw Wrong{"let NAME = …"};
        names_[std::string{trimmed(text.substr(0, equals))}] =
            expanded(trimmed(text.substr(equals + 1)));
    }

    /// A name stands where a layer would.
    [[nodiscard]] std::string expanded(std::string_view text) const {
        std::string result;
        bool begins = true;
        for (const std::string& word : words_of(text)) {
            const auto named = begins ? names_.find(word) : names_.end();
            if (!result.empty()) result += ' ';
            result += named != names_.end() ? named->second : word;
            begins = word == "/";
        }
        return result;
    }

    [[nodiscard]] static Frame frame_or_throw(const std::string& text) {
        auto frame = frame_of(text);
        if (!frame) throw Wrong{frame.error().message};
        return std::move(*frame);
    }

    void in(std::string_view text) {
        must_have_out();
        Step step;
        step.line = line_;
        step.text = expanded(text);
        std::string packet = step.text, last;
        if (const auto slash = packet.rfind('/'); slash != std::string::npos) {
            last = trimmed(std::string_view{packet}.substr(slash + 1));
            if (last.starts_with("cut ") || last.starts_with("short "))
                packet.resize(slash);
            else
                last.clear();
        }
        const Frame whole = frame_or_throw(packet);
        if (last.empty())
            step.frames = {whole};
        else if (last == "cut each")
            step.frames = cut_each(whole);
        else if (last == "short each")
            step.frames = short_each(whole);
        else if (const std::size_t size = number_of(last.substr(last.find(' ') + 1));
                 last.starts_with("cut ") && size < whole.size())
            step.frames = {{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}};
        else
            throw Wrong{"cut each, short each, or cut N with N less than the frame has"};
        table_.cases.back().steps.push_back(std::move(step));
        waits_ = true;
    }

    /// tx SERVER, redirect SERVER, tx any, tx same, tx = LAYERS, pass [REASON],
    /// drop REASON, not forwarded
    void out(std::string_view text) {
        if (!waits_) throw Wrong{"nothing came in"};
        waits_ = false;
        static const std::map<std::string, Verdict> verdicts{{"pass", Verdict::pass},
                                                             {"drop", Verdict::drop},
                                                             {"tx", Verdict::tx},
                                                             {"redirect", Verdict::redirect},
                                                             {"not", Verdict::not_forwarded}};
        Expected& expected = table_.cases.back().steps.back().expected;
        const std::vector<std::string> words = words_of(text);
        const auto verdict = verdicts.find(words.empty() ? "" : words[0]);
        if (verdict == verdicts.end()) throw Wrong{"pass, drop, tx, redirect or not forwarded"};
        expected.verdict = verdict->second;
        if (expected.verdict == Verdict::not_forwarded) {
            expected.what = Expected::Frame::any;
            if (words.size() != 2 || words[1] != "forwarded") throw Wrong{"not forwarded"};
        } else if (words.size() > 2 && (words[1] == "=" || words[2] == "=")) {
            expected.what = Expected::Frame::written;
            if (words[1] != "=") expected.reason = words[1];
            expected.frame = frame_or_throw(expanded(trimmed(text.substr(text.find('=') + 1))));
        } else if (expected.verdict == Verdict::pass || expected.verdict == Verdict::drop) {
            if (words.size() > 1) expected.reason = words[1];
            if (words.size() > 2) throw Wrong{"one reason"};
        } else {
            to_server(expected, words);
        }
    }

    static void to_server(Expected& expected, const std::vector<std::string>& words) {
        if (words.size() != 2) throw Wrong{words[0] + " SERVER, any, same, or = LAYERS"};
        if (words[1] == "any") {
            expected.what = Expected::Frame::to_any_server;
        } else if (words[1] == "same") {
            expected.what = Expected::Frame::to_same_server;
        } else {
            expected.what = Expected::Frame::to_server;
            expected.server = static_cast<int>(number_of(words[1]));
        }
    }

    void must_have_out() {
        if (waits_) throw Wrong{"an `in` without its `out` before this"};
    }

    Table table_;
    std::map<std::string, std::string> names_;
    int line_ = 0;
    bool waits_ = false;
};

}  // namespace

Endpoint server(Family family, int number) {
    const std::string text = family == Family::ipv4 ? fmt::format("203.0.113.{}:53", number)
                                                    : fmt::format("[2001:db8:1::{:x}]:53", number);
    return Endpoint::parse(text).value();
}

Mac server_mac(int number) {
    return {2, 0, 0, 0, 1, static_cast<std::uint8_t>(number)};
}

Result<Table> read_table(const std::string& file) {
    Reader reader{file};
    try {
        return reader.read();
    } catch (const Wrong& wrong) {
        return fail("{}:{}: {}", file, reader.line(), wrong.what);
    }
}

std::vector<std::string> table_files(const std::string& folder) {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator{folder})
        if (entry.path().extension() == ".txt" && entry.path().filename() != "CMakeLists.txt")
            files.push_back(entry.path().string());
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace dnsdirector::packets
