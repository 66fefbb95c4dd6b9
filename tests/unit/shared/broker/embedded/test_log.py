import logging
from dataclasses import replace
from itertools import pairwise

import pytest

from shared.broker.embedded import batches
from shared.broker.embedded.codes import Code
from shared.broker.embedded.limits import Limits
from shared.broker.embedded.log import PartitionLog
from shared.broker.embedded.topics import TopicConfig

LIMITS = Limits()


def log_of(limits=LIMITS, **config):
    return PartitionLog("t", 0, TopicConfig({name.replace("_", "."): value for name, value in config.items()}), limits)


def offsets(data):
    found = []
    while data:
        header = batches.read_header(data)
        if not header.control:
            found += [record.offset for record in batches.records(data[: header.size_bytes])]
        data = data[header.size_bytes :]
    return found


def test_batches_get_the_next_offsets(make_batch):
    log = log_of()
    assert log.append(make_batch([b"a", b"b"])) == (Code.NONE, 0)
    assert log.append(make_batch([b"c"])) == (Code.NONE, 2)
    assert (log.start_offset, log.end_offset) == (0, 3)
    assert offsets(log.read(0, 10_000, below=3, at_least_one=True).data) == [0, 1, 2]


def test_a_read_begins_with_the_batch_that_holds_the_offset(make_batch):
    log = log_of()
    log.append(make_batch([b"a", b"b"]))
    log.append(make_batch([b"c"]))
    assert offsets(log.read(1, 10_000, below=3, at_least_one=True).data) == [0, 1, 2]
    assert offsets(log.read(2, 10_000, below=3, at_least_one=True).data) == [2]


def test_a_read_is_cut_at_whole_batches_and_gives_at_least_one_where_asked(make_batch):
    log = log_of()
    one = make_batch([b"a"])
    for _ in range(3):
        log.append(one)
    assert offsets(log.read(0, 2 * len(one), below=3, at_least_one=True).data) == [0, 1]
    assert offsets(log.read(0, 1, below=3, at_least_one=True).data) == [0]
    assert log.read(0, 1, below=3, at_least_one=False) == (b"", 0)
    assert log.read(0, 10_000, below=2, at_least_one=True).next_offset == 2


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda raw: raw[:30], Code.CORRUPT_MESSAGE),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), Code.CORRUPT_MESSAGE),
        (lambda raw: raw[:16] + b"\1" + raw[17:], Code.UNSUPPORTED_FOR_MESSAGE_FORMAT),
        (lambda raw: raw + raw, Code.INVALID_RECORD),
        (lambda _: batches.marker(1, 0, commit=True, now_ms=0), Code.INVALID_RECORD),
    ],
)
def test_what_is_no_single_sound_batch_is_refused(make_batch, spoil, code):
    log = log_of()
    assert log.append(spoil(make_batch([b"a"]))) == (code, -1)
    assert log.end_offset == 0


def test_a_batch_over_the_topics_limit_is_too_large(make_batch):
    log = log_of(max_message_bytes="100")
    assert log.append(make_batch([b"a" * 100])).code is Code.MESSAGE_TOO_LARGE


def test_a_repeated_batch_is_answered_with_its_offset_and_not_stored(make_batch):
    log = log_of()
    raw = make_batch([b"a"], producer_id=1, epoch=0, sequence=0)
    log.append(make_batch([b"other"]))
    assert log.append(raw) == (Code.NONE, 1)
    assert log.append(raw) == (Code.NONE, 1)
    assert log.end_offset == 2


def test_the_last_stable_offset_waits_for_the_first_open_transaction(make_batch):
    log = log_of()
    for producer in (1, 2):
        log.append(make_batch([b"x"], producer_id=producer, epoch=0, sequence=0, transactional=True))
    assert log.last_stable_offset == 0
    log.end_transaction(2, 0, commit=True, now_ms=5)
    assert log.last_stable_offset == 0
    log.end_transaction(1, 0, commit=True, now_ms=5)
    assert log.last_stable_offset == log.end_offset == 4


def test_the_aborted_list_holds_what_overlaps_the_offsets_read(make_batch):
    log = log_of()
    for sequence in range(3):
        log.append(make_batch([b"x"], producer_id=1, epoch=0, sequence=sequence, transactional=True))
        log.end_transaction(1, 0, commit=sequence == 1, now_ms=5)
    assert [(a.first_offset, a.marker_offset) for a in log.aborted_between(0, 6)] == [(0, 1), (4, 5)]
    assert log.aborted_between(2, 4) == []
    assert [a.first_offset for a in log.aborted_between(1, 4)] == [0]


def test_watchers_hear_of_records_and_of_the_stable_offset_apart(make_batch):
    log = log_of()
    heard = []
    log.end_watchers.add(lambda: heard.append("end"))
    log.stable_watchers.add(lambda: heard.append("stable"))
    log.append(make_batch([b"x"], producer_id=1, epoch=0, sequence=0, transactional=True))
    assert heard == ["end"]
    log.end_transaction(1, 0, commit=True, now_ms=5)
    assert heard == ["end", "end", "stable"]


def test_time_is_looked_up_by_record_even_where_times_run_backwards(make_batch):
    log = log_of()
    log.append(make_batch([(b"a", b"", 50), (b"b", b"", 60)]))
    log.append(make_batch([(b"c", b"", 10)]))
    log.append(make_batch([(b"d", b"", 70)]))
    assert log.find_by_time(0) == (50, 0)
    assert log.find_by_time(55) == (60, 1)
    assert log.find_by_time(61) == (70, 3)
    assert log.find_by_time(71) is None


def test_deleting_moves_the_start_within_a_batch(make_batch):
    log = log_of()
    log.append(make_batch([b"a", b"b"]))
    log.append(make_batch([b"c"]))
    assert log.delete_before(1) is Code.NONE
    assert log.start_offset == 1
    assert log.delete_before(4) is Code.OFFSET_OUT_OF_RANGE
    assert log.delete_before(0) is Code.OFFSET_OUT_OF_RANGE
    assert log.delete_before(-1) is Code.NONE
    assert (log.start_offset, log.end_offset, log.size_bytes) == (3, 3, 0)


def test_a_full_partition_drops_its_oldest_batches_and_says_so(make_batch, caplog):
    one = make_batch([b"k" * 100])
    log = log_of(retention_bytes=str(10 * len(one)))
    with caplog.at_level(logging.WARNING):
        for _ in range(25):
            assert log.append(one).code is Code.NONE
    assert log.size_bytes <= 10 * len(one)
    assert log.end_offset == 25
    assert offsets(log.read(log.start_offset, 10**6, below=25, at_least_one=True).data)[0] == log.start_offset
    dropped = [message.args[2:] for message in caplog.records]
    assert dropped[0][0] == 0
    assert dropped[-1][1] == log.start_offset - 1
    assert all(after[0] == before[1] + 1 for before, after in pairwise(dropped))


def test_nothing_undecided_is_dropped(make_batch):
    one = make_batch([b"k" * 100], producer_id=1, epoch=0, sequence=0, transactional=True)
    log = log_of(retention_bytes=str(len(one)))
    log.append(one)
    for _ in range(5):
        log.append(make_batch([b"k" * 100]))
    assert log.start_offset == 0
    log.end_transaction(1, 0, commit=True, now_ms=0)
    assert log.start_offset > 0


def test_a_compacted_topic_wants_keys(make_batch):
    log = log_of(cleanup_policy="compact")
    assert log.append(make_batch([(None, b"v", 0)])).code is Code.INVALID_RECORD
    assert log.append(make_batch([(b"k", b"v", 0)])).code is Code.NONE


def test_a_compacted_partition_stays_small_and_keeps_every_keys_newest_record(make_batch):
    log = log_of(replace(LIMITS, compaction_bytes_min=2_000), cleanup_policy="compact")
    newest = {}
    for i in range(500):
        key = b"k%d" % (i % 7)
        newest[key] = log.append(make_batch([(key, b"v" * 50, i)])).base_offset
    assert log.size_bytes < 6_000
    assert log.end_offset == 500
    data = log.read(0, 10**6, below=500, at_least_one=True).data
    assert set(newest.values()) <= set(offsets(data))


def test_a_reader_inside_a_gap_goes_on_with_what_follows(make_batch):
    log = log_of(replace(LIMITS, compaction_bytes_min=100), cleanup_policy="compact")
    for i in range(50):
        log.append(make_batch([(b"k", b"v" * 50, i)]))
    assert log.start_offset == 0
    assert offsets(log.read(1, 10**6, below=50, at_least_one=True).data)[-1] == 49
