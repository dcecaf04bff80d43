// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <limits>

#include "control/default_run_dir.h"

namespace dnsdirector::cli {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using nlohmann::json;
using Socket = asio::local::stream_protocol::socket;

constexpr timeval patience{15, 0};

boost::system::error_code exchange(Socket& socket, const std::string& method,
                                   const std::string& path, const json& body,
                                   http::response<http::string_body>& response) {
    http::request<http::string_body> request;
    request.method_string(method);
    request.target(path);
    request.version(11);
    request.set(http::field::host, "dnsdirector");
    if (!body.is_null()) request.body() = body.dump();
    request.prepare_payload();

    boost::system::error_code error;
    http::write(socket, request, error);
    // Cut off in the middle of a request that is too long: the answer says so.
    if (error && error != asio::error::broken_pipe && error != asio::error::connection_reset)
        return error;
    error = {};
    http::response_parser<http::string_body> parser;
    parser.body_limit(std::numeric_limits<std::uint64_t>::max());
    boost::beast::flat_buffer buffer;
    http::read(socket, buffer, parser, error);
    response = parser.release();
    return error;
}

}  // namespace

ApiAnswer call_api(const std::string& run_dir, const std::string& method, const std::string& path,
                   const json& body) {
    ApiAnswer answer;
    asio::io_context io;
    Socket socket(io);
    boost::system::error_code error;
    const std::string socket_path = run_dir + "/api.sock";
    if (socket_path.size() >= sizeof(sockaddr_un::sun_path)) {
        answer.error = "the path is too long for a Unix socket";
        return answer;
    }
    error = socket.connect(asio::local::stream_protocol::endpoint(socket_path), error);
    if (error) {
        answer.error = error.message();
        answer.denied = error == boost::system::errc::permission_denied;
        return answer;
    }
    answer.connected = true;
    setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(socket.native_handle(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    http::response<http::string_body> response;
    error = exchange(socket, method, path, body, response);
    if (error) {
        answer.error = error == asio::error::would_block || error == asio::error::try_again
                           ? "it does not answer within 15 seconds"
                           : error.message();
        return answer;
    }
    answer.reached = true;
    answer.status = static_cast<int>(response.result_int());
    answer.text = std::move(response.body());
    answer.body = json::parse(answer.text, nullptr, false);
    return answer;
}

int print_errors(const ApiAnswer& answer, const std::string& run_dir) {
    if (!answer.reached) {
        if (answer.denied)
            fmt::print(stderr, "dnsdirector: {}/api.sock: permission denied; run this as root\n",
                       run_dir);
        else if (answer.connected)
            fmt::print(stderr,
                       "dnsdirector: the director at {}/api.sock took the call, but gave no "
                       "answer ({}); is it overloaded, or stopping? Its log may say more\n",
                       run_dir, answer.error);
        else
            fmt::print(
                stderr,
                "dnsdirector: no director answers at {}/api.sock ({}); is it running, and is "
                "this its --run-dir?\n",
                run_dir, answer.error);
        return no_director;
    }
    if (answer.status == 200) return ok;
    const json errors = answer.body.is_object() ? answer.body.value("errors", json::array())
                                                : json::array({"unreadable answer"});
    for (const json& error : errors)
        fmt::print(stderr, "{}\n", error.is_string() ? error.get<std::string>() : error.dump());
    return failed;
}

void add_run_dir(CLI::App& command, std::string& run_dir) {
    static const std::string to_ask = control::run_dir_to_ask();  // files are looked at once
    run_dir = to_ask;
    command.add_option("--run-dir", run_dir, "The director's run directory")->capture_default_str();
}

}  // namespace dnsdirector::cli
