// SPDX-License-Identifier: Apache-2.0
//
// What clients and servers may send to the proxy plane. The first byte chooses the direction;
// over TCP the rest is a stream that comes in pieces. Held: reading ends and reads nothing
// outside; what counts as an answer has the question at its place; what the proxy answers
// itself is an answer to the query; a stream yields the same messages however it is cut.
#include <cstdlib>
#include <vector>

#include "dataplane/proxy/handover.h"
#include "dataplane/proxy/stream.h"
#include "dataplane/proxy/transfer.h"
#include "dataplane/proxy/wire.h"

namespace {

using namespace dnsdirector::dataplane::proxy;
using Octets = std::vector<std::uint8_t>;

void require(bool held) {
    if (!held) std::abort();
}

void from_client(const Octets& bytes) {
    const Query query = read_query(bytes);
    if (query.kind == Query::Kind::not_a_query) return;
    const std::size_t question = query.kind == Query::Kind::fine ? query.question_size : 0;
    require(header_size + question <= bytes.size() && question <= largest_question);
    Octets out(header_size + question);
    require(make_answer(bytes, question, Rcode::servfail, out.data()) == out.size());
    require(load16(out.data()) == load16(bytes.data()) && is_response(out.data()));
    require(answers(out, Bytes(bytes).subspan(header_size, question), query.opcode));
    (void)hash_of_name(Bytes(bytes).subspan(header_size, question));
}

/// The first bytes are the query's size, then come query and reply.
void from_server(const Octets& bytes) {
    if (bytes.empty()) return;
    const std::size_t size = std::min<std::size_t>(bytes[0], bytes.size() - 1);
    const Octets asked(bytes.begin() + 1, bytes.begin() + 1 + static_cast<std::ptrdiff_t>(size));
    const Octets reply(bytes.begin() + 1 + static_cast<std::ptrdiff_t>(size), bytes.end());
    TransferEnd end;
    (void)end.is_last(reply);
    const Query query = read_query(asked);
    if (query.kind != Query::Kind::fine) return;
    const Bytes question = Bytes(asked).subspan(header_size, query.question_size);
    if (!answers(reply, question, query.opcode)) return;
    require(reply.size() >= header_size && is_response(reply.data()));
    if (load16(&reply[4]) == 1)
        require(std::equal(question.begin(), question.end(), reply.begin() + header_size));
}

std::vector<Octets> messages_of(Octets stream, std::size_t piece) {
    std::vector<Octets> got;
    Inbox inbox;
    for (std::size_t at = 0; at < stream.size(); at += piece)
        inbox.feed(std::span(stream).subspan(at, std::min(piece, stream.size() - at)),
                   [&](std::uint8_t* message, std::size_t size) {
                       got.emplace_back(message, message + size);
                       return true;
                   });
    return got;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    // A copy of exact size, so that reading one byte too far is seen.
    const Octets bytes(data + 2, data + size);
    switch (data[0] % 4) {
        case 0: from_client(bytes); break;
        case 1: from_server(bytes); break;
        case 2: require(messages_of(bytes, 1 + data[1]) == messages_of(bytes, SIZE_MAX / 2)); break;
        default: (void)handover_of(std::string(bytes.begin(), bytes.end()));
    }
    return 0;
}
