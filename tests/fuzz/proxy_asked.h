// SPDX-License-Identifier: Apache-2.0
//
// What clients have asked, and what may therefore be sent to whom.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
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
    /// A client's message, whole.
    void asks(const Asker& asker, const Octets& message) {
        const proxy::Query query = proxy::read_query(message);
        if (query.kind == proxy::Query::Kind::not_a_query) return;
        open_[asker].push_back({message, query});
        if (query.kind != proxy::Query::Kind::fine) return;
        Sent& sent = sent_[rest_of(message)];
        ++sent.asked;
        sent.twice = query.may_be_asked_twice() && message.size() <= proxy_kept;
    }

    /// What reaches a client.
    void answered(const Asker& asker, const Octets& message) {
        require(message.size() >= proxy::header_size);
        std::vector<Ask>& open = open_[asker];
        for (auto ask = open.begin(); ask != open.end(); ++ask) {
            if (!fits(*ask, message)) continue;
            // A transfer's end only its reader knows.
            if (!ask->query.is_transfer()) open.erase(ask);
            return;
        }
        std::abort();
    }

    /// What reaches a server: the ID is the plane's own.
    void sent(const Octets& message, bool tcp) {
        require(message.size() >= proxy::header_size);
        const auto found = sent_.find(rest_of(message));
        require(found != sent_.end());
        Sent& sent = found->second;
        ++sent.times;
        // Over TCP each of two tries may find its connection closed, and go once more.
        const unsigned most = sent.twice ? (tcp ? 4 : 2) : 1;
        require(sent.times <= sent.asked * most);
    }

private:
    static constexpr std::size_t proxy_kept = 512;
    struct Ask {
        Octets message;
        proxy::Query query;
    };
    struct Sent {
        unsigned asked = 0;
        unsigned times = 0;
        bool twice = false;
    };

    static Octets rest_of(const Octets& message) { return {message.begin() + 2, message.end()}; }

    static bool fits(const Ask& ask, const Octets& message) {
        if (proxy::load16(message.data()) != proxy::load16(ask.message.data())) return false;
        if (ask.query.is_transfer()) return true;
        if (!proxy::is_response(message.data()) ||
            proxy::opcode_of(message.data()) != ask.query.opcode)
            return false;
        const unsigned questions = proxy::load16(&message[4]);
        const std::size_t size = ask.query.question_size;
        if (questions == 0) {
            const std::uint8_t rcode = proxy::rcode_of(message.data());
            return size == 0 || (rcode != 0 && rcode != 3);
        }
        return questions == 1 && size != 0 && message.size() >= proxy::header_size + size &&
               std::equal(message.begin() + proxy::header_size,
                          message.begin() + static_cast<long>(proxy::header_size + size),
                          ask.message.begin() + proxy::header_size);
    }

    std::map<Asker, std::vector<Ask>> open_;
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
