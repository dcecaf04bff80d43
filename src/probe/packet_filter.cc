// SPDX-License-Identifier: Apache-2.0
#include "probe/packet_filter.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>

#include <map>

namespace dnsdirector::probe {
namespace {

/// Where a comparison leads. Offsets in the programs count from the IP header on; a load
/// beyond the packet's end ends the program and drops the packet.
enum class To : std::uint8_t { next, ports, fragment, quoted, tunnelled, icmp, take, drop };

class Program {
public:
    explicit Program(const PortRange& ports) : ports_(ports) {}

    Program& at(To label) {
        labels_[label] = code_.size();
        return *this;
    }
    Program& byte(std::uint32_t offset) { return add(BPF_LD | BPF_B | BPF_ABS, offset); }
    Program& half(std::uint32_t offset) { return add(BPF_LD | BPF_H | BPF_ABS, offset); }
    /// As above, `offset` from the end of an IPv4 header that begins the packet.
    Program& half_behind_v4(std::uint32_t offset) {
        add(BPF_LDX | BPF_B | BPF_MSH, 0);
        return add(BPF_LD | BPF_H | BPF_IND, offset);
    }
    Program& if_equal(std::uint32_t value, To then, To otherwise = To::next) {
        return add(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise);
    }
    Program& if_any(std::uint32_t bits, To then, To otherwise = To::next) {
        return add(BPF_JMP | BPF_JSET | BPF_K, bits, then, otherwise);
    }
    /// What was loaded is one of our ports, or the packet is dropped.
    Program& one_of_ours() {
        add(BPF_ALU | BPF_AND | BPF_K, ports_.mask());
        return if_equal(ports_.first, To::take, To::drop);
    }
    std::vector<sock_filter> finish();

private:
    struct Jump {
        To then = To::next, otherwise = To::next;
    };
    Program& add(unsigned code, std::uint32_t value, To then = To::next, To otherwise = To::next) {
        code_.push_back({static_cast<std::uint16_t>(code), 0, 0, value});
        jumps_.push_back({then, otherwise});
        return *this;
    }
    [[nodiscard]] std::uint8_t offset(std::size_t from, To label) const {
        if (label == To::next) return 0;
        return static_cast<std::uint8_t>(labels_.at(label) - from - 1);
    }

    PortRange ports_;
    std::vector<sock_filter> code_;
    std::vector<Jump> jumps_;
    std::map<To, std::size_t> labels_;
};

std::vector<sock_filter> Program::finish() {
    constexpr std::uint32_t whole = 0x40000;
    at(To::take).add(BPF_RET | BPF_K, whole);
    at(To::drop).add(BPF_RET | BPF_K, 0);
    for (std::size_t index = 0; index < code_.size(); ++index) {
        code_[index].jt = offset(index, jumps_[index].then);
        code_[index].jf = offset(index, jumps_[index].otherwise);
    }
    return code_;
}

std::vector<sock_filter> filter_v4(const PortRange& ports) {
    constexpr std::uint32_t no_options = 0x45;
    Program program(ports);
    program.byte(9).if_equal(IPPROTO_UDP, To::ports).if_equal(IPPROTO_TCP, To::ports);
    program.if_equal(IPPROTO_ICMP, To::icmp, To::drop);
    program.at(To::ports).half(6).if_any(0x1FFF, To::drop).half_behind_v4(2).one_of_ours();
    program.at(To::icmp).byte(0).if_equal(no_options, To::next, To::drop);
    program.byte(20).if_equal(ICMP_UNREACH, To::quoted);
    program.if_equal(ICMP_TIMXCEED, To::quoted, To::drop);
    program.at(To::quoted).byte(28).if_equal(no_options, To::next, To::drop);
    program.byte(28 + 9).if_equal(IPPROTO_IPIP, To::tunnelled).half(48).one_of_ours();
    program.at(To::tunnelled).byte(48).if_equal(no_options, To::next, To::drop);
    return program.half(68).one_of_ours().finish();
}

std::vector<sock_filter> filter_v6(const PortRange& ports) {
    Program program(ports);
    program.byte(6).if_equal(IPPROTO_UDP, To::ports).if_equal(IPPROTO_TCP, To::ports);
    program.if_equal(IPPROTO_FRAGMENT, To::fragment).if_equal(IPPROTO_ICMPV6, To::icmp, To::drop);
    program.at(To::ports).half(42).one_of_ours();
    program.at(To::fragment).byte(40).if_equal(IPPROTO_UDP, To::next, To::drop);
    program.half(42).if_any(0xFFF8, To::drop).half(50).one_of_ours();
    program.at(To::icmp).byte(40).if_equal(ICMP6_DST_UNREACH, To::quoted);
    program.if_equal(ICMP6_TIME_EXCEEDED, To::quoted);
    program.if_equal(ICMP6_PARAM_PROB, To::quoted, To::drop);
    program.at(To::quoted).byte(54).if_equal(IPPROTO_IPV6, To::tunnelled).half(88).one_of_ours();
    return program.at(To::tunnelled).half(128).one_of_ours().finish();
}

}  // namespace

std::vector<sock_filter> packet_filter(Family family, const PortRange& ports) {
    return family == Family::ipv4 ? filter_v4(ports) : filter_v6(ports);
}

}  // namespace dnsdirector::probe
