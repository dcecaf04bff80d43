// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/stream.h"

#include <sys/socket.h>

#include <cerrno>

namespace dnsdirector::dataplane::proxy {
namespace {

// An empty box keeps so much, so that a busy connection does not allocate for each answer.
constexpr std::size_t kept_capacity = 4096;

}  // namespace

bool Outbox::write_to(int socket, bool& progress) {
    while (!empty()) {
        const ssize_t sent =
            send(socket, bytes_.data() + written_, size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) continue;
            return errno == EAGAIN || errno == EWOULDBLOCK;
        }
        progress = true;
        written_ += static_cast<std::size_t>(sent);
    }
    bytes_.clear();
    written_ = 0;
    if (bytes_.capacity() > kept_capacity) std::vector<std::uint8_t>().swap(bytes_);
    return true;
}

}  // namespace dnsdirector::dataplane::proxy
