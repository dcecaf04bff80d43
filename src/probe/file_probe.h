// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/model.h"
#include "probe/file_reader.h"
#include "probe/probe.h"

namespace dnsdirector::probe {

/// FILE_CHECK: reads the number at the beginning of a file; core::FileCheck says
/// what it means. As in keepalived a file that is missing or has no number at
/// its beginning counts as 0, and one that does not fit into 32 bits as the
/// number before it. What is no regular file, cannot be read, or takes longer
/// than `timeout` is a failure to look (Failure::local). One read is one round
/// (`tries` is for questions); a read that hangs is waited for by the next
/// rounds, too, and no other is begun beside it.
class FileProbe : public Probe {
public:
    FileProbe(FileReader& reader, std::uint64_t token, const core::FileCheck& check,
              Nanoseconds timeout)
        : reader_(reader), token_(token), check_(check), timeout_(timeout) {}

    Progress start(TimePoint now) override;
    Progress on_event(TimePoint now) override;
    Progress on_timeout(TimePoint now) override;

private:
    FileReader& reader_;
    std::uint64_t token_;
    core::FileCheck check_;
    Nanoseconds timeout_;
    std::shared_ptr<const FileReader::Read> read_;  ///< under way, or not yet judged
    std::int64_t last_ = 0;
};

/// What a number means for a check; `found` is how the reason calls it:
/// "5 in /run/drain".
[[nodiscard]] Outcome judge_number(const core::FileCheck& check, std::int64_t number,
                                   const std::string& found);

}  // namespace dnsdirector::probe
