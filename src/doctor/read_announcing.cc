// SPDX-License-Identifier: Apache-2.0
//
// What announcing needs of the machine.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "doctor/readers.h"

namespace dnsdirector::doctor {
namespace {

bool somebody_listens(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return false;
    std::memcpy(address.sun_path, path.c_str(), path.size());
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return false;
    const bool listens =
        ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
        errno == EAGAIN;
    ::close(descriptor);
    return listens;
}

std::string first_program(std::initializer_list<const char*> paths) {
    for (const char* path : paths)
        if (::access(path, F_OK) == 0) return path;
    return "";
}

}  // namespace

Announcing read_announcing(const core::Bgp& bgp, const std::string& run_dir,
                           netlink::Socket& socket) {
    Announcing announcing;
    if (const int tun = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC); tun >= 0)
        ::close(tun);
    else
        announcing.tun_problem = std::strerror(errno);
    const bool frr = bgp.daemon == core::RoutingDaemon::existing_frr;
    announcing.daemon_socket = frr                                       ? "/run/frr/bgpd.vty"
                               : bgp.daemon == core::RoutingDaemon::bird ? run_dir + "/bird.ctl"
                                                                         : "/run/bird/bird.ctl";
    announcing.daemon_program = frr ? first_program({"/usr/lib/frr/bgpd", "/usr/libexec/frr/bgpd"})
                                    : first_program({"/usr/sbin/bird", "/usr/local/sbin/bird"});
    announcing.daemon_answers = somebody_listens(announcing.daemon_socket);
    for (const core::BgpNeighbor& neighbor : bgp.neighbors)
        announcing.ways[neighbor.address].route = socket.route_to(neighbor.address);
    return announcing;
}

}  // namespace dnsdirector::doctor
