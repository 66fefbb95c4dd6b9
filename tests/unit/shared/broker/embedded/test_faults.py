from aiokafka.protocol.metadata import MetadataRequest_v5
from aiokafka.protocol.produce import ProduceRequest_v7

from shared.broker.embedded.codes import Code
from shared.broker.embedded.faults import Act, Delay, Drop, Faults, Refuse, Rule
from shared.broker.embedded.refusals import refusal
from shared.broker.embedded.wire import Api, Request


def produce(topic="orders", transactional_id=None):
    return Request(Api.PRODUCE, 7, ProduceRequest_v7(transactional_id, -1, 1_000, [(topic, [(0, b""), (1, b"")])]))


def metadata(*topics):
    return Request(Api.METADATA, 5, MetadataRequest_v5(list(topics) or None, 1))


def test_without_rules_nothing_happens():
    assert Faults().decide(produce()) == []


def test_the_same_seed_strikes_the_same_requests():
    def strikes(seed):
        faults = Faults(seed, [Rule(Drop.BEFORE, probability=0.3)])
        return [bool(faults.decide(produce())) for _ in range(200)]

    assert strikes(5) == strikes(5) != strikes(6)
    assert 30 < sum(strikes(5)) < 90


def test_predicates_choose_api_topic_and_transactional_id():
    faults = Faults(rules=[Rule(Delay(1.0), api=Api.PRODUCE, topic="ord*", transactional_id="x.*")])
    assert faults.decide(produce(transactional_id="x.1")) == [Delay(1.0)]
    assert faults.decide(produce(transactional_id="y.1")) == []
    assert faults.decide(produce()) == []
    assert faults.decide(produce("other", "x.1")) == []
    assert faults.decide(metadata("orders")) == []


def test_topics_are_found_where_a_request_names_them_bare():
    faults = Faults(rules=[Rule(Drop.AFTER, topic="orders")])
    assert faults.decide(metadata("other", "orders")) == [Drop.AFTER]
    assert faults.decide(metadata()) == []


def test_a_one_shot_strikes_once_and_counts():
    faults = Faults()
    rule = faults.once(Refuse(Code.NOT_LEADER_OR_FOLLOWER), api=Api.PRODUCE)
    faults.decide(metadata())
    assert [bool(faults.decide(produce())) for _ in range(3)] == [True, False, False]
    assert (rule.hits, rule.met) == (1, 3)
    assert sum(faults.injected.values()) == 1


def test_the_first_matches_may_be_spared():
    faults = Faults(rules=[Rule(Act.REBALANCE, after=2, times=1)])
    assert [bool(faults.decide(produce())) for _ in range(4)] == [False, False, True, False]


def test_cleared_faults_strike_no_more():
    faults = Faults(rules=[Rule(Drop.BEFORE)])
    faults.clear()
    assert faults.decide(produce()) == []


def test_a_refusal_names_every_partition():
    answer = refusal(produce(), Code.NOT_LEADER_OR_FOLLOWER)
    assert answer == ([("orders", [(0, 6, -1, -1, -1), (1, 6, -1, -1, -1)])], 0)


def test_an_api_without_a_place_for_an_error_has_no_refusal():
    assert refusal(metadata("orders"), Code.UNKNOWN_SERVER_ERROR) is None
