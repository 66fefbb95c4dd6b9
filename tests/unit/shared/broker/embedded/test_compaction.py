from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from shared.broker.embedded import batches
from shared.broker.embedded.compaction import cleaned
from shared.broker.embedded.log import AbortedTransaction

DAY_MS = 86_400_000


def cleaned_records(log, aborted=(), now_ms=0):
    return [
        (record.key, record.offset)
        for raw in cleaned(log, aborted=aborted, tombstone_retention_ms=DAY_MS, now_ms=now_ms)
        for record in batches.records(raw)
    ]


def test_aborted_records_and_markers_go_and_do_not_hide_older_values(make_batch):
    log = [
        batches.stamped(make_batch([b"k"]), 0),
        batches.stamped(make_batch([b"k"], producer_id=1, epoch=0, sequence=0, transactional=True), 1),
        batches.stamped(batches.marker(1, 0, commit=False, now_ms=0), 2),
    ]
    assert cleaned_records(log, [AbortedTransaction(2, 1, 1)]) == [(b"k", 0)]


def test_a_tombstone_goes_only_after_its_time(make_batch):
    log = [batches.stamped(make_batch([(b"k", b"v", 10)]), 0), batches.stamped(make_batch([(b"k", None, 20)]), 1)]
    assert cleaned_records(log, now_ms=20 + DAY_MS) == [(b"k", 1)]
    assert cleaned_records(log, now_ms=21 + DAY_MS) == []


def test_a_batch_that_cannot_be_decoded_stays(make_batch):
    damaged = bytearray(batches.stamped(make_batch([b"k"]), 0))
    damaged[22] = 7
    assert cleaned([bytes(damaged)], aborted=[], tombstone_retention_ms=0, now_ms=0) == [bytes(damaged)]


@given(st.lists(st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=4), max_size=12))
def test_exactly_the_newest_record_of_every_key_stays_in_order(contents):
    log, offset, newest = [], 0, {}
    for keys in contents:
        builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
        for i, key in enumerate(keys):
            builder.append(i, 1_000, key, b"v", [])
            newest[key] = offset + i
        log.append(batches.stamped(bytes(builder.build()), offset))
        offset += len(keys)
    assert cleaned_records(log) == sorted(newest.items(), key=lambda item: item[1])
