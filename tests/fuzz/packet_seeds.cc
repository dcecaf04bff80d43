// SPDX-License-Identifier: Apache-2.0
//
// usage: packet_seeds FOLDER
//
// Writes each case of tests/packets as an input of fuzz_packet: its packets in a
// row. Of those cut short one after the other, a few.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "fuzz/packet_services.h"

namespace {

using namespace dnsdirector;

constexpr std::size_t most_of_a_step = 4;

std::string input_of(const packets::Case& each) {
    std::string input(1, '\0');
    for (const packets::Step& step : each.steps) {
        const std::size_t stride = step.frames.size() / most_of_a_step + 1;
        for (std::size_t i = 0; i < step.frames.size(); i += stride) {
            const packets::Frame& frame = step.frames[i];
            input += static_cast<char>(frame.size() >> 8);
            input += static_cast<char>(frame.size());
            input.append(frame.begin(), frame.end());
        }
    }
    return input;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: packet_seeds FOLDER\n", stderr);
        return 2;
    }
    const std::filesystem::path folder = argv[1];
    std::filesystem::create_directories(folder);
    for (const packets::Table& table : fuzz::tables())
        for (const packets::Case& each : table.cases) {
            const auto name =
                std::filesystem::path{table.file}.stem().string() + "-" + std::to_string(each.line);
            std::ofstream file{folder / name, std::ios::binary};
            file << input_of(each);
            if (!file.flush()) {
                std::fprintf(stderr, "packet_seeds: cannot write %s\n", (folder / name).c_str());
                return 1;
            }
        }
    return 0;
}
