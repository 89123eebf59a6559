"""What the JSON objects of the reports hold, for `--help` and for the manual. The keys are stable.

In all of them bytes that are no printable text are written \\xNN, times are seconds since 1970 in
decimal text, and sizes are bytes.
"""

DIFF = """\
JSON: "before", "after": the files' names. "summary": "messages", "changed", "unchanged",
"only_before", "only_after"; "reordered", those that AFTER has elsewhere in their call;
"clock_offset", by how much times in AFTER are later (the median), and "clock_spread", within which
half of them deviate (null without a pair); "bytes_before", "bytes_added" and
"bytes_added_per_message" of the messages that both captures have; "fields", in how many messages
each field changed. "messages", in order, each with "status" (one of the four words), "reordered",
"packet", "time", "source", "destination", "size" (of the SIP message; these five are pairs of
before and after, null where it is missing), "start_line", "call_id", and "changes", each with
"field", "before" and "after" (lists of lines; of a list of values in one line, those that changed,
the first or behind "Name: ..., ").
"""

AUDIT = """\
JSON: "capture"; "messages", by direction: "egress" (they leave), "ingress", "inside", "transit";
"judged", those that leave and that masking applies to; "skipped_by_policy"; "leaks", each with
"packet", "time", "start_line", "field", "kind" (ipv4, ipv6, name), "shown" (the host as spelled) and
"text" (the value it stands in); "not_explained", the same for names where the receiver's own words
stand and who sits there never said them before; "not_masked" (what is left clear as configured),
"left_clear_by_policy" (by a rule), "media_shown" (where streams go, without a relay),
"in_vias_of_responses" and "receivers_own_words" (what names the inside there), each a list of
"field", "kind" and "count"; "not_read", by reason to a number: "malformed", "tcp", "tls", "tunnel",
"incomplete", "body" (declared as encoded, and does not fully decode), "bounds" (holds more than an
audit looks at); "not_read_packets", the first of them with "packet", "time" and "reason".
"""

TRACE = """\
JSON: "call_id": "inside", "outside" and "mark" (as the log has it); "steps", in the order of time. A
message has "time", "capture", "packet", "source", "destination", "start_line", "direction",
"outcome" (what the gateway does with it), "edits" (action, then field, to a number), "leaks" (fields)
and "refused_because" (as the live gateway wrote it, or null); a line of the log has "time" (or null),
"log" and "line". "log_lines_held_back": lines of any call that the log's limit left out.
"""
