// SPDX-License-Identifier: Apache-2.0
//
// Packets as a person writes them (README.md in this folder says how), and the
// tables of cases in *.txt: packets in, verdict and packet out.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "core/forwarding.h"

namespace dnsdirector::packets {

using Frame = std::vector<std::uint8_t>;
using Mac = std::array<std::uint8_t, 6>;

inline constexpr Mac director_mac{2, 0, 0, 0, 0, 1};  ///< of the interface that frames come in by
inline constexpr Mac egress_mac{2, 0, 0, 0, 0, 2};    ///< of the interface that they leave by
inline constexpr Mac client_mac{2, 0, 0, 0, 0, 7};

/// Real servers have numbers: 203.0.113.N or 2001:db8:1::N (in hexadecimal), MAC
/// 02:00:00:00:01:N. From 100 on they are behind another interface; ways.h has some
/// more that are special.
[[nodiscard]] Endpoint server(Family family, int number);
[[nodiscard]] Mac server_mac(int number);
inline constexpr int first_behind_another_interface = 100;

/// The bytes of a packet in the notation; lengths, checksums and numbers of the
/// next header are made right where they are not given.
[[nodiscard]] Result<Frame> frame_of(std::string_view text);

/// What becomes of a packet.
struct Expected {
    enum class Frame : std::uint8_t {
        as_it_was,
        to_server,       ///< with the MACs of `server`
        to_any_server,   ///< with the MACs of some server
        to_same_server,  ///< … of the one that the packet before went to
        written,         ///< `frame`
        any,             ///< whatever it is, nobody gets it: for frames cut short
    };
    enum class Verdict : std::uint8_t { pass, drop, tx, redirect, not_forwarded };
    Verdict verdict = Verdict::pass;
    Frame what = Frame::as_it_was;
    int server = 0;
    packets::Frame frame;
    std::string reason;  ///< the one that is counted; "" none
};

struct Step {
    int line = 0;
    std::string text;
    std::vector<Frame> frames;  ///< several where it says "cut each" or "short each"
    Expected expected;
};

struct Case {
    std::string name;
    int line = 0;
    std::vector<Step> steps;
};

struct Table {
    std::string file;
    std::vector<core::ServiceForwarding> services;
    std::vector<Case> cases;
};

/// Errors: file:line, what is wrong.
[[nodiscard]] Result<Table> read_table(const std::string& file);
/// The tables of a folder, by name.
[[nodiscard]] std::vector<std::string> table_files(const std::string& folder);

}  // namespace dnsdirector::packets
