// SPDX-License-Identifier: Apache-2.0
//
// What clients have asked, and what may therefore be sent to whom.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "dataplane/proxy/wire.h"
#include "fuzz/fake_network.h"

namespace dnsdirector::fuzz {

namespace proxy = dataplane::proxy;

inline void require(bool held) {
    if (!held) std::abort();
}

/// Who asks: a socket's number over TCP, a client's number over UDP.
using Asker = std::pair<bool, int>;

class Asked {
public:
    /// NOTIFY and UPDATE go to every server.
    bool to_all = false;

    /// A client's message, whole, and as a server is to get it.
    void asks(const Asker& asker, const Octets& message, const Octets& as_sent) {
        const proxy::Query query = proxy::read_query(message);
        if (query.kind == proxy::Query::Kind::not_a_query) return;
        const std::uint16_t id = proxy::load16(message.data());
        Count& all = by_id_[{asker, id}];
        ++all.asked;
        all.transfer |= query.is_transfer();
        if (query.kind != proxy::Query::Kind::fine) return;
        ++by_question_[{asker, id, query.opcode, question_of(message, query.question_size)}].asked;
        Sent& sent = sent_[rest_of(as_sent)];
        ++sent.asked;
        sent.twice = query.may_be_asked_twice() && message.size() <= proxy_kept;
    }

    /// What reaches a client. An error may come without a question, and so answer any of those
    /// with its ID; there are no more answers than questions all the same.
    void answered(const Asker& asker, const Octets& message) {
        require(message.size() >= proxy::header_size);
        const std::uint16_t id = proxy::load16(message.data());
        Count& all = by_id_[{asker, id}];
        // A transfer's end only its reader knows.
        if (all.transfer) return;
        require(++all.answered <= all.asked);
        require(proxy::is_response(message.data()));
        const unsigned questions = proxy::load16(&message[4]);
        const std::uint8_t opcode = proxy::opcode_of(message.data());
        const std::uint8_t rcode = proxy::rcode_of(message.data());
        const bool update = opcode == static_cast<std::uint8_t>(proxy::Opcode::update);
        if (questions == 0 && (update || (rcode != 0 && rcode != 3))) return;
        require(questions <= 1);
        const std::size_t size = questions == 0 ? 0 : proxy::question_size(message);
        require(questions == 0 || size != 0);
        Count& exact = by_question_[{asker, id, opcode, question_of(message, size)}];
        require(++exact.answered <= exact.asked);
    }

    /// What reaches a server: the ID is the plane's own.
    void sent(const Octets& message, const Endpoint& server, bool tcp) {
        require(message.size() >= proxy::header_size);
        const auto found = sent_.find(rest_of(message));
        require(found != sent_.end());
        Sent& sent = found->second;
        const std::uint8_t opcode = proxy::opcode_of(message.data());
        const bool notify = opcode == static_cast<std::uint8_t>(proxy::Opcode::notify);
        if (to_all && (notify || opcode == static_cast<std::uint8_t>(proxy::Opcode::update))) {
            // A NOTIFY five times, over TCP each of them to a connection that may be closed.
            const unsigned most_to_one = notify ? (tcp ? 10 : 5) : 1;
            require(++sent.times_to[server] <= sent.asked * most_to_one);
            return;
        }
        ++sent.times;
        // Over TCP each of two tries may find its connection closed, and go once more.
        const unsigned most = sent.twice ? (tcp ? 4 : 2) : 1;
        require(sent.times <= sent.asked * most);
    }

private:
    static constexpr std::size_t proxy_kept = 512;
    struct Count {
        unsigned asked = 0;
        unsigned answered = 0;
        bool transfer = false;
    };
    struct Sent {
        unsigned asked = 0;
        unsigned times = 0;
        std::map<Endpoint, unsigned> times_to;
        bool twice = false;
    };

    static Octets rest_of(const Octets& message) { return {message.begin() + 2, message.end()}; }

    static Octets question_of(const Octets& message, std::size_t size) {
        const auto begin = message.begin() + proxy::header_size;
        return {begin, begin + static_cast<long>(size)};
    }

    std::map<std::pair<Asker, std::uint16_t>, Count> by_id_;
    std::map<std::tuple<Asker, std::uint16_t, std::uint8_t, Octets>, Count> by_question_;
    std::map<Octets, Sent> sent_;
};

/// Messages of a stream of bytes.
class Framed {
public:
    template <typename Take>
    void feed(const std::uint8_t* bytes, std::size_t size, const Take& take) {
        bytes_.insert(bytes_.end(), bytes, bytes + size);
        while (bytes_.size() >= 2) {
            const std::size_t length = proxy::load16(bytes_.data());
            if (bytes_.size() < 2 + length) return;
            const Octets message(bytes_.begin() + 2,
                                 bytes_.begin() + static_cast<long>(2 + length));
            bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<long>(2 + length));
            take(message);
        }
    }

private:
    Octets bytes_;
};

}  // namespace dnsdirector::fuzz
