import pytest
from aiokafka.record.control_record import ABORT_MARKER, COMMIT_MARKER, ControlRecord
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from shared.broker.embedded import batches


def test_the_header_is_read_as_it_was_written(make_batch):
    raw = make_batch([b"a", b"b"], producer_id=7, epoch=3, sequence=5, transactional=True)
    header = batches.read_header(raw)
    assert (header.producer_id, header.producer_epoch, header.base_sequence, header.records) == (7, 3, 5, 2)
    assert header.transactional
    assert not header.control
    assert header.size_bytes == len(raw)
    assert batches.crc_is_valid(raw, header)


def test_a_flipped_bit_breaks_the_checksum(make_batch):
    raw = bytearray(make_batch([b"a"]))
    raw[-1] ^= 1
    assert not batches.crc_is_valid(bytes(raw), batches.read_header(bytes(raw)))


def test_a_stamp_moves_the_offset_and_keeps_the_checksum_valid(make_batch):
    raw = batches.stamped(make_batch([b"a", b"b"]), 1_234)
    header = batches.read_header(raw)
    assert batches.crc_is_valid(raw, header)
    assert [record.offset for record in DefaultRecordBatch(raw)] == [1_234, 1_235]


@pytest.mark.parametrize(("commit", "expected"), [(True, COMMIT_MARKER), (False, ABORT_MARKER)])
def test_a_marker_is_a_control_batch_that_the_client_library_understands(commit, expected):
    raw = batches.marker(9, 2, commit=commit, now_ms=77)
    read = DefaultRecordBatch(raw)
    assert read.validate_crc()
    assert read.is_control_batch
    assert read.is_transactional
    [record] = list(read)
    assert ControlRecord.parse(record.key) == expected
    assert batches.read_header(raw).producer_id == 9


key_values = st.lists(
    st.tuples(st.none() | st.binary(max_size=300), st.none() | st.binary(max_size=300), st.integers(0, 2**41)),
    min_size=1,
    max_size=20,
)


@given(key_values, st.sampled_from([0, 1]), st.integers(0, 2**40))
def test_records_are_read_as_the_client_library_reads_them(records, compression, base):
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1 << 24)
    for i, (key, value, timestamp) in enumerate(records):
        builder.append(i, timestamp, key, value, [("h", b"x")])
    raw = batches.stamped(bytes(builder.build()), base)
    ours = [(r.offset, r.timestamp_ms, r.key, r.tombstone) for r in batches.records(raw)]
    assert ours == [(r.offset, r.timestamp, r.key, r.value is None) for r in DefaultRecordBatch(raw)]


@given(st.data())
def test_a_rebuilt_batch_holds_exactly_what_was_kept_under_its_old_offsets(data):
    records = data.draw(key_values)
    builder = DefaultRecordBatchBuilder(2, data.draw(st.sampled_from([0, 1])), 0, 5, 1, 10, 1 << 24)
    for i, (key, value, timestamp) in enumerate(records):
        builder.append(i, timestamp, key, value, [])
    raw = batches.stamped(bytes(builder.build()), 500)
    stay = data.draw(st.sets(st.integers(500, 499 + len(records)), min_size=1))
    rebuilt = batches.rebuilt(raw, [r for r in batches.records(raw) if r.offset in stay])
    read = DefaultRecordBatch(rebuilt)
    assert read.validate_crc()
    assert read.next_offset == 500 + len(records)
    before = {r.offset: (r.timestamp, r.key, r.value) for r in DefaultRecordBatch(raw)}
    assert {r.offset: (r.timestamp, r.key, r.value) for r in read} == {o: v for o, v in before.items() if o in stay}


@pytest.mark.parametrize("length", [0, 60])
def test_less_than_a_header_is_an_error(length):
    with pytest.raises(ValueError, match="61"):
        batches.read_header(b"x" * length)


def test_records_that_cannot_be_decoded_say_so(make_batch):
    raw = make_batch([b"a" * 40])
    with pytest.raises(batches.UnreadableRecordsError):
        list(batches.records(raw[:-30]))
    header = bytearray(make_batch([b"a"]))
    header[22] = 1  # names gzip, is not
    with pytest.raises(batches.UnreadableRecordsError):
        list(batches.records(bytes(header)))
    header[22] = 7  # no codec has this number
    with pytest.raises(batches.UnreadableRecordsError, match="unknown codec"):
        list(batches.records(bytes(header)))
