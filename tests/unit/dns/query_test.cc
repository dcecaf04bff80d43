// SPDX-License-Identifier: Apache-2.0
#include "dns/query.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <string>

#include "dns/message.h"
#include "dns/present.h"

namespace dnsdirector::dns {
namespace {

core::DnsCheck check_of(std::string name) {
    core::DnsCheck check;
    check.name = std::move(name);
    check.type = 1;
    return check;
}

std::string label_of(const Query& query) {
    const std::span<const std::uint8_t> name = query.question();
    return {name.begin() + 1, name.begin() + 1 + name[0]};
}

TEST(Query, CarriesAnOptRecordOnlyWithEdns) {
    core::DnsCheck check = check_of("example.com");
    const std::size_t bare = Query::make(check)->message().size();
    check.edns = core::Edns{.buffer_size = 4096, .dnssec_ok = true};
    const Query query = Query::make(check).value();
    EXPECT_EQ(query.message().size(), bare + 11);
    const std::vector<std::uint8_t> opt(query.message().end() - 11, query.message().end());
    EXPECT_EQ(opt, (std::vector<std::uint8_t>{0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0}));
    EXPECT_EQ(query.message()[11], 1);
}

TEST(Query, AsksForAuthenticationByAdOrDo) {
    core::DnsCheck check = check_of("example.com");
    const auto ad = [&] { return Query::make(check)->message()[3] & core::header_flag::ad; };
    EXPECT_EQ(ad(), 0);
    check.required_flags = core::header_flag::ad;
    EXPECT_NE(ad(), 0);
    check.edns = core::Edns{.dnssec_ok = true};
    EXPECT_EQ(ad(), 0);
}

TEST(Query, PutsANewLabelInFrontOfTheName) {
    core::DnsCheck check = check_of("example.com");
    check.random_label = true;
    Query query = Query::make(check).value();
    std::set<std::string> labels;
    for (std::uint64_t random = 1; random < 100; ++random) {
        query.set_label(random * 0x9E3779B97F4A7C15U);
        labels.insert(label_of(query));
    }
    EXPECT_EQ(labels.size(), 99);
    for (const std::string& label : labels) {
        EXPECT_EQ(label.size(), 12);
        EXPECT_EQ(label.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567"), std::string::npos);
    }
    EXPECT_NE(in_dig_form(query.message()).find(";" + label_of(query) + ".example.com."),
              std::string::npos);
    check.name = ".";
    EXPECT_EQ(Query::make(check)->question().size(), 13 + 1 + 4);
    check.name = std::string(62, 'a') + "." + std::string(62, 'a') + "." + std::string(62, 'a') +
                 "." + std::string(60, 'a');
    EXPECT_FALSE(Query::make(check));
    check.random_label = false;
    EXPECT_TRUE(Query::make(check));
}

/// Header and question can be read back, whatever is asked for, and the length
/// in front is that of the message.
RC_GTEST_PROP(Query, IsWellFormedWhateverIsAsked, ()) {
    core::DnsCheck check = check_of("www.example.com");
    check.type = *rc::gen::arbitrary<std::uint16_t>();
    check.klass = *rc::gen::arbitrary<std::uint16_t>();
    check.recursion_desired = *rc::gen::arbitrary<bool>();
    check.random_label = *rc::gen::arbitrary<bool>();
    if (*rc::gen::arbitrary<bool>())
        check.edns = core::Edns{.buffer_size = *rc::gen::inRange<std::uint16_t>(512, 65535),
                                .dnssec_ok = *rc::gen::arbitrary<bool>()};
    for (const std::uint16_t flag :
         {core::header_flag::aa, core::header_flag::ra, core::header_flag::ad})
        if (*rc::gen::arbitrary<bool>()) check.required_flags |= flag;

    Query query = Query::make(check).value();
    query.set_id(*rc::gen::arbitrary<std::uint16_t>());
    query.set_label(*rc::gen::arbitrary<std::uint64_t>());
    const std::span<const std::uint8_t> message = query.message();
    RC_ASSERT(read16(query.framed(), 0) == message.size());
    RC_ASSERT(((message[2] & 0x01) != 0) == check.recursion_desired);
    RC_ASSERT((message[2] & 0xFE) == 0);
    RC_ASSERT((message[3] & ~0x20) == 0);
    std::size_t at = *skip_name(message, header_size);
    RC_ASSERT(at == header_size + 17 + (check.random_label ? 13 : 0));
    RC_ASSERT(read16(message, at) == check.type && read16(message, at + 2) == check.klass);
    at += 4;
    RC_ASSERT(query.question().size() == at - header_size);
    if (check.edns) {
        const Record opt = *read_record(message, at);
        RC_ASSERT(opt.type == 41 && opt.klass == check.edns->buffer_size);
        RC_ASSERT(opt.ttl == (check.edns->dnssec_ok ? 0x8000U : 0U));
    }
    RC_ASSERT(at == message.size());
}

}  // namespace
}  // namespace dnsdirector::dns
