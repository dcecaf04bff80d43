// SPDX-License-Identifier: Apache-2.0
//
// What the kernel program does with random packets, next to a model that knows of
// packets only what it made them of: tables of core, the hash of bpf/hash.h, and
// the rules of docs/architecture.md. A million packets go through the program
// compiled for user space, some thousands through the kernel's compiler as well.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <deque>
#include <map>
#include <random>

#include "core/table.h"
#include "packets/host.h"
#include "unit/dataplane/xdp_bed.h"
#include "unit/support/one_cpu.h"

namespace dnsdirector::dataplane {
namespace {

namespace abi = xdp::abi;
namespace host = packets::host;
using test::frame_of;
using test::Packet;

#ifdef DNSDIRECTOR_SANITIZED
constexpr int many_packets = 100'000;
#else
constexpr int many_packets = 1'000'000;
#endif

struct Client {
    IpAddress address;
    std::uint16_t port = 0;
};

/// A packet, and all that the model may know of it.
struct Sent {
    enum class Kind : std::uint8_t { whole, first_fragment, later_fragment, icmp_error, too_big };
    Kind kind = Kind::whole;
    core::ServiceKey key;
    Client client;
    std::uint32_t identification = 0;
    test::Frame frame;
};

struct Verdict {
    std::uint32_t verdict = XDP_PASS;
    int server = 0;  ///< number, where it is forwarded
    std::string reason;

    friend bool operator==(const Verdict&, const Verdict&) = default;
    friend void PrintTo(const Verdict& verdict, std::ostream* out) {
        *out << verdict.verdict << " to " << verdict.server << " " << verdict.reason;
    }
};

/// The i-th of a service: reached directly, by the other interface, or as ways.h says.
core::Destination some_server(std::mt19937& random, Family family, unsigned i) {
    unsigned number = i % 3 == 2 ? 110 + i : 10 + i;
    if (i < packets::special_servers.size() && random() % 3 == 0)
        number = static_cast<unsigned>(packets::special_servers.begin()[i]);
    const Endpoint to = packets::server(family, static_cast<int>(number));
    const bool tunnel = packets::way_to(family, static_cast<int>(number), 1, 1).tunnel.has_value();
    return {to, static_cast<std::uint32_t>(random() % 8),
            tunnel ? core::ForwardingMethod::tun : core::ForwardingMethod::dr};
}
bool is_local(const IpAddress& server) {
    return packets::way_to(server.family(), server.bytes()[server.size() - 1], 1, 1).local;
}

/// Services of all kinds, both families, with weights from 0 to 7.
std::vector<core::ServiceForwarding> some_services(std::mt19937& random) {
    using core::Scheduler;
    struct Kind {
        std::uint16_t port;
        Protocol protocol;
        std::vector<Scheduler> schedulers;
    };
    const Kind kinds[] = {
        {53, Protocol::udp, {Scheduler::wrr, Scheduler::rr, Scheduler::mh, Scheduler::sh}},
        {53, Protocol::tcp, {Scheduler::wrr, Scheduler::mh, Scheduler::sh}},
        {853, Protocol::tcp, {Scheduler::wrr}},
        {853, Protocol::udp, {Scheduler::mh, Scheduler::wrr}},
    };
    std::vector<core::ServiceForwarding> services;
    for (int address = 0; address < 16; ++address)
        for (const Kind& kind : kinds) {
            if (random() % 5 == 0) continue;
            core::ServiceForwarding wish;
            const std::string text = address % 2 == 0 ? fmt::format("192.0.2.{}", 100 + address)
                                                      : fmt::format("2001:db8::{}", 100 + address);
            wish.key = {*IpAddress::parse(text), kind.port, kind.protocol};
            wish.scheduler = kind.schedulers[random() % kind.schedulers.size()];
            wish.other_hash = wish.scheduler == Scheduler::mh && random() % 4 == 0;
            const unsigned servers = 1 + random() % 9;
            for (unsigned i = 0; i < servers; ++i)
                wish.destinations.push_back(some_server(random, wish.key.address.family(), i));
            std::sort(wish.destinations.begin(), wish.destinations.end());
            services.push_back(std::move(wish));
        }
    return services;
}

class Model {
public:
    explicit Model(const std::vector<core::ServiceForwarding>& services) {
        for (const auto& wish : services)
            services_[wish.key] = {wish, core::build_table(wish)};
    }

    Verdict expect(const Sent& sent) {
        switch (sent.kind) {
            case Sent::Kind::whole: return to(sent.key, sent, std::nullopt);
            case Sent::Kind::first_fragment: return first(sent);
            case Sent::Kind::later_fragment: return later(sent);
            default: return error(sent);
        }
    }

private:
    struct Known {
        core::ServiceForwarding wish;
        core::Table table;
        std::uint32_t cursor = 0;
    };
    using Datagram = std::tuple<IpAddress, IpAddress, int, std::uint32_t>;

    static std::uint32_t hash(const Sent& sent, std::uint32_t more, bool with_service) {
        const xdp::Words from = xdp::words_of(sent.client.address);
        const xdp::Words to = with_service ? xdp::words_of(sent.key.address) : xdp::Words{};
        if (sent.client.address.is_v4())
            return abi::flow_hash4(static_cast<std::uint32_t>(from[0]),
                                   static_cast<std::uint32_t>(to[0]), more);
        return abi::flow_hash6(from[0], from[1], to[0], to[1], more);
    }
    static bool by_turns(const Known& known) { return core::per_packet(known.wish); }
    static bool by_client(const Known& known) {
        return xdp::select_of(known.wish.key, known.wish.scheduler, known.wish.other_hash, false) ==
               abi::SELECT_SOURCE;
    }

    Verdict to(const core::ServiceKey& key, const Sent& sent,
               std::optional<std::uint32_t> identification) {
        const auto found = services_.find(key);
        if (found == services_.end()) return {};
        Known& known = found->second;
        const auto length = static_cast<std::uint32_t>(known.table.slots.size());
        if (length == 0) return {XDP_PASS, 0, "no_server"};
        std::uint32_t slot = 0;
        if (by_turns(known) && !identification) {
            slot = known.cursor++ % length;
        } else if (by_turns(known)) {
            slot = abi::slot_of_hash(hash(sent, *identification, true), length);
        } else if (by_client(known)) {
            slot = abi::slot_of_hash(hash(sent, 0, false), length);
        } else {
            const std::uint32_t ports = htons(sent.client.port) | std::uint32_t{htons(key.port)}
                                                                      << 16;
            slot = abi::slot_of_hash(hash(sent, ports, true), length);
        }
        const IpAddress& server = known.wish.destinations[known.table.slots[slot]].server.address;
        if (is_local(server)) return {};
        const int number = server.bytes()[server.size() - 1];
        return {number < packets::first_behind_another_interface ? std::uint32_t{XDP_TX}
                                                                 : std::uint32_t{XDP_REDIRECT},
                number, ""};
    }

    static Datagram datagram(const Sent& sent) {
        const int protocol = sent.key.address.is_v4() ? 1 + static_cast<int>(sent.key.protocol) : 0;
        return {sent.client.address, sent.key.address, protocol, sent.identification};
    }
    [[nodiscard]] bool is_address(const IpAddress& address) const {
        const auto at = services_.lower_bound({address, 0, Protocol::udp});
        return at != services_.end() && at->first.address == address;
    }
    /// As the packet has it.
    static std::uint32_t in_packet(const Sent& sent) {
        return sent.key.address.is_v4() ? htons(static_cast<std::uint16_t>(sent.identification))
                                        : htonl(sent.identification);
    }

    Verdict first(const Sent& sent) {
        if (!is_address(sent.key.address)) return {};
        const auto known = services_.find(sent.key);
        const bool alone = known != services_.end() && sent.key.port == 53 &&
                           (by_turns(known->second) || by_client(known->second));
        if (alone)
            seen_.erase(datagram(sent));
        else
            seen_[datagram(sent)] = {sent.client.port, sent.key};
        return to(sent.key, sent, in_packet(sent));
    }
    Verdict later(const Sent& sent) {
        if (!is_address(sent.key.address)) return {};
        if (const auto said = seen_.find(datagram(sent)); said != seen_.end()) {
            Sent like = sent;
            like.client.port = said->second.first;
            like.key = said->second.second;
            return to(like.key, like, in_packet(sent));
        }
        core::ServiceKey dns = sent.key;
        dns.port = 53;
        const auto known = services_.find(dns);
        if (known == services_.end() || !(by_turns(known->second) || by_client(known->second)))
            return {XDP_DROP, 0, "fragment"};
        return to(dns, sent, in_packet(sent));
    }
    Verdict error(const Sent& sent) {
        const auto known = services_.find(sent.key);
        if (known == services_.end()) return {};
        if (!by_turns(known->second)) return to(sent.key, sent, std::nullopt);
        if (sent.kind != Sent::Kind::too_big) return {XDP_DROP, 0, "icmp_error"};
        // This machine's own server hears it from its stack.
        const auto& servers = known->second.wish.destinations;
        const bool local = std::any_of(servers.begin(), servers.end(), [](const auto& each) {
            return is_local(each.server.address);
        });
        return {local ? std::uint32_t{XDP_PASS} : std::uint32_t{XDP_DROP}, 0, "icmp_too_big"};
    }

    std::map<core::ServiceKey, Known> services_;
    std::map<Datagram, std::pair<std::uint16_t, core::ServiceKey>> seen_;
};

/// Makes packets: to services, beside them, in fragments in any order, and errors
/// that quote answers.
class Traffic {
public:
    Traffic(std::mt19937& random, const std::vector<core::ServiceForwarding>& services)
        : random_(random), services_(services) {}

    Sent next() {
        Sent sent = next_untagged();
        const unsigned tags = random_() % 8;
        for (unsigned i = 0; i < tags && tags <= 2; ++i) {
            const auto control = static_cast<std::uint16_t>(random_());
            const std::uint8_t tag[] = {static_cast<std::uint8_t>(i == 0 ? 0x81 : 0x88),
                                        static_cast<std::uint8_t>(i == 0 ? 0x00 : 0xa8),
                                        static_cast<std::uint8_t>(control >> 8),
                                        static_cast<std::uint8_t>(control)};
            sent.frame.insert(sent.frame.begin() + 12, std::begin(tag), std::end(tag));
        }
        return sent;
    }

private:
    Sent next_untagged() {
        if (!waiting_.empty() && random_() % 3 != 0) {
            const std::size_t at = random_() % waiting_.size();
            Sent sent = std::move(waiting_[at]);
            waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(at));
            return sent;
        }
        Sent sent;
        sent.key = any_key();
        sent.client = any_client(sent.key.address.is_v4());
        switch (random_() % 8) {
            case 0: return fragments(sent);
            case 1: return error(sent);
            default: return whole(sent);
        }
    }

    core::ServiceKey any_key() {
        core::ServiceKey key = services_[random_() % services_.size()].key;
        if (random_() % 16 == 0) key.port = static_cast<std::uint16_t>(1 + random_() % 65535);
        if (random_() % 32 == 0)
            key.address = *IpAddress::parse(key.address.is_v4() ? "192.0.2.9" : "2001:db8::9");
        return key;
    }
    Client any_client(bool v4) {
        const auto byte = [&] { return static_cast<std::uint8_t>(random_()); };
        const auto port = static_cast<std::uint16_t>(1 + random_() % 65535);
        if (v4) return {IpAddress::from_v4({198, 51, 100, byte()}), port};
        std::array<std::uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8, 0, 0xc};
        for (std::size_t i = 6; i < bytes.size(); ++i)
            bytes[i] = byte();
        return {IpAddress::from_v6(bytes), port};
    }

    Sent whole(Sent sent) {
        Packet packet = packet_of(sent);
        packet.payload = random_() % 64;
        if (sent.key.address.is_v4())
            packet.options = random_() % 8 == 0 ? 4 * (random_() % 11) : 0;
        sent.frame = frame_of(packet);
        if (sent.key.address.is_v6() && random_() % 4 == 0) extend(sent.frame);
        return sent;
    }
    static Packet packet_of(const Sent& sent) {
        return {.source = {sent.client.address, sent.client.port},
                .destination = sent.key.endpoint(),
                .protocol = sent.key.protocol};
    }
    /// Puts up to three destination options headers in front of the transport header.
    void extend(test::Frame& frame) {
        const unsigned headers = 1 + random_() % 3;
        for (unsigned i = 0; i < headers; ++i) {
            const std::size_t size = 8 + 8 * (random_() % 4);
            insert(frame, 60, size);
        }
    }
    /// An extension header right behind the IPv6 header.
    static std::size_t insert(test::Frame& frame, std::uint8_t number, std::size_t size) {
        constexpr std::size_t at = 14 + 40;
        test::Frame header(size);
        header[0] = frame[14 + 6];
        header[1] = static_cast<std::uint8_t>(size / 8 - 1);
        frame[14 + 6] = number;
        const std::size_t length = (frame[14 + 4] << 8 | frame[14 + 5]) + size;
        frame[14 + 4] = static_cast<std::uint8_t>(length >> 8);
        frame[14 + 5] = static_cast<std::uint8_t>(length);
        frame.insert(frame.begin() + at, header.begin(), header.end());
        return at;
    }

    void put_fragment_header(Sent& sent, std::uint16_t offset, bool more) const {
        if (sent.key.address.is_v4()) {
            sent.frame[18] = static_cast<std::uint8_t>(sent.identification >> 8);
            sent.frame[19] = static_cast<std::uint8_t>(sent.identification);
            const auto word = static_cast<std::uint16_t>((more ? 0x2000 : 0) | offset / 8);
            sent.frame[20] = static_cast<std::uint8_t>(word >> 8);
            sent.frame[21] = static_cast<std::uint8_t>(word);
            return;
        }
        const std::size_t at = insert(sent.frame, 44, 8);
        sent.frame[at + 1] = 0;
        sent.frame[at + 2] = static_cast<std::uint8_t>(offset >> 8);
        sent.frame[at + 3] = static_cast<std::uint8_t>(offset | (more ? 1 : 0));
        for (std::size_t i = 0; i < 4; ++i)
            sent.frame[at + 4 + i] = static_cast<std::uint8_t>(sent.identification >> (24 - 8 * i));
    }

    Sent fragments(Sent sent) {
        // Few identifications, so that they come again.
        sent.identification = random_() % 64;
        const unsigned pieces = 2 + random_() % 4;
        for (unsigned i = 0; i < pieces; ++i) {
            Sent piece = sent;
            Packet packet = packet_of(piece);
            packet.payload = 64;
            packet.udp_length = 4000;
            piece.kind = i == 0 ? Sent::Kind::first_fragment : Sent::Kind::later_fragment;
            piece.frame = frame_of(packet);
            put_fragment_header(piece, static_cast<std::uint16_t>(72 * i), i + 1 < pieces);
            waiting_.push_back(std::move(piece));
        }
        return next_untagged();
    }

    Sent error(Sent sent) {
        const bool v4 = sent.key.address.is_v4();
        sent.kind = random_() % 2 == 0 ? Sent::Kind::too_big : Sent::Kind::icmp_error;
        const bool big = sent.kind == Sent::Kind::too_big;
        Packet answer{.source = sent.key.endpoint(),
                      .destination = {sent.client.address, sent.client.port},
                      .protocol = sent.key.protocol,
                      .payload = 16};
        const test::Frame quoted = frame_of(answer);
        Packet carrier{.source = {packets_router(v4), 0},
                       .destination = {sent.key.address, 0},
                       .payload = quoted.size() - 14,
                       .next_header = v4 ? 1 : 58};
        // The carrier's UDP header makes room for the ICMP header.
        sent.frame = frame_of(carrier);
        const std::size_t at = v4 ? 34 : 54;
        std::fill_n(sent.frame.begin() + static_cast<std::ptrdiff_t>(at), 8, 0);
        sent.frame[at] = v4 ? 3 : big ? 2 : 1;
        sent.frame[at + 1] = v4 && big ? 4 : 1;
        std::copy(quoted.begin() + 14, quoted.end(),
                  sent.frame.begin() + static_cast<std::ptrdiff_t>(at + 8));
        return sent;
    }
    static IpAddress packets_router(bool v4) {
        return *IpAddress::parse(v4 ? "198.51.100.1" : "2001:db8:c::1");
    }

    std::mt19937& random_;
    const std::vector<core::ServiceForwarding>& services_;
    std::deque<Sent> waiting_;
};

Verdict seen(std::uint32_t verdict, const test::Frame& frame, std::string reason) {
    const bool forwarded = verdict == XDP_TX || verdict == XDP_REDIRECT;
    return {verdict, forwarded ? frame[5] : 0, std::move(reason)};
}

std::string only_reason(const host::Outcome& outcome) {
    EXPECT_LE(outcome.reasons.size(), 1U);
    return outcome.reasons.empty() ? "" : outcome.reasons.begin()->first;
}

TEST(XdpModel, the_program_in_user_space_chooses_as_the_model_does) {
    std::mt19937 random{20240601};
    int packets_left = many_packets;
    std::map<std::string, int> outcomes;
    while (packets_left > 0 && !HasFailure()) {
        const auto services = some_services(random);
        host::serve(services);
        Model model{services};
        Traffic traffic{random, services};
        for (int i = 0; i < many_packets / 20; ++i, --packets_left) {
            const Sent sent = traffic.next();
            const Verdict wanted = model.expect(sent);
            const host::Outcome outcome = host::run(sent.frame);
            const Verdict got = seen(outcome.verdict, outcome.frame, only_reason(outcome));
            ASSERT_EQ(got, wanted)
                << sent.key.to_string() << " from " << sent.client.address.to_string() << ':'
                << sent.client.port << " kind " << static_cast<int>(sent.kind) << " packet " << i;
            ASSERT_EQ(outcome.frame, wanted.server != 0
                                         ? packets::handed_to(wanted.server, sent.frame)
                                         : sent.frame);
            (void)host::take_messages();
            ++outcomes[fmt::format("{} {} {}", static_cast<int>(sent.kind), got.verdict,
                                   got.reason)];
        }
    }
    // Nothing of what it should be about was missing.
    for (const char* each :
         {"0 3 ", "0 4 ", "0 2 ", "0 2 no_server", "1 3 ", "1 2 ", "2 3 ", "2 4 ", "2 1 fragment",
          "3 3 ", "3 1 icmp_error", "4 3 ", "4 1 icmp_too_big"})
        EXPECT_GT(outcomes[each], many_packets / 20'000) << each;
}

TEST(XdpModel, the_kernels_compiler_chooses_as_the_model_does) {
    NEEDS_BED(bed);
    const support::OneCpu one_cpu;  // the cursor is each CPU's own
    std::mt19937 random{20240602};
    const auto services = some_services(random);
    bed.reach_by_numbers(packets::special_servers);
    for (const core::ServiceForwarding& wish : services) {
        std::vector<core::Change> changes{
            core::AddService{wish.key, wish.scheduler, wish.method, wish.other_hash}};
        for (const core::Destination& destination : wish.destinations)
            changes.emplace_back(core::AddDestination{wish.key, destination});
        ASSERT_TRUE(bed.services->apply(changes, {}).has_value());
    }
    Model model{services};
    Traffic traffic{random, services};
    for (int i = 0; i < 20'000; ++i) {
        const Sent sent = traffic.next();
        Verdict wanted = model.expect(sent);
        // Nobody reads the ring here.
        if (wanted.reason == "icmp_too_big") continue;
        wanted.reason.clear();
        const test::Outcome outcome = bed.run(sent.frame);
        ASSERT_EQ(seen(outcome.verdict, outcome.frame, ""), wanted)
            << sent.key.to_string() << " from " << sent.client.address.to_string() << " packet "
            << i;
        ASSERT_EQ(outcome.frame,
                  wanted.server != 0 ? packets::handed_to(wanted.server, sent.frame) : sent.frame);
    }
}

/// Not only the choice: whatever comes, and with the very same bytes in the maps.
TEST(XdpModel, broken_packets_are_the_same_to_the_kernel_and_in_user_space) {
    NEEDS_BED(bed);
    std::mt19937 random{20240603};
    std::vector<core::ServiceForwarding> services = some_services(random);
    // By turns both would have to stand at the same one.
    std::erase_if(services, [](const auto& wish) { return core::per_packet(wish); });
    bed.reach_by_numbers(packets::special_servers);
    for (const core::ServiceForwarding& wish : services) {
        std::vector<core::Change> changes{
            core::AddService{wish.key, wish.scheduler, wish.method, wish.other_hash}};
        for (const core::Destination& destination : wish.destinations)
            changes.emplace_back(core::AddDestination{wish.key, destination});
        ASSERT_TRUE(bed.services->apply(changes, {}).has_value());
    }
    bed.lend_to_host();
    Traffic traffic{random, services};
    int forwarded = 0;
    for (int i = 0; i < 20'000; ++i) {
        test::Frame frame = traffic.next().frame;
        const unsigned changes = random() % 4;
        for (unsigned change = 0; change < changes; ++change)
            frame[12 + random() % std::min<std::size_t>(frame.size() - 12, 60)] =
                static_cast<std::uint8_t>(random());
        if (random() % 8 == 0) frame.resize(14 + random() % (frame.size() - 14));
        const test::Outcome kernel = bed.run(frame);
        const host::Outcome user = host::run(frame);
        ASSERT_EQ(kernel.verdict, user.verdict) << "packet " << i;
        ASSERT_EQ(kernel.frame, user.frame) << "packet " << i;
        forwarded += kernel.verdict == XDP_TX || kernel.verdict == XDP_REDIRECT ? 1 : 0;
        (void)host::take_messages();
    }
    EXPECT_GT(forwarded, 1000);
}

}  // namespace
}  // namespace dnsdirector::dataplane
