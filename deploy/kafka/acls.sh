#!/usr/bin/env bash
# The least that each principal needs, as Kafka's own tool takes it:
#   BOOTSTRAP=kafka-1:9093 COMMAND_CONFIG=admin.properties deploy/kafka/acls.sh
# KAFKA_ACLS=echo only shows the commands. HOLDFAST_KAFKA_NAMESPACE is put before every name, as the services do.
#
# Principals are the names that clients prove: the SASL user name, or with mTLS the certificate's subject as the broker's
# ssl.principal.mapping.rules makes it (RULE:^CN=([^,]+).*$/$1/). Read and Write imply Describe. An idempotent producer needs
# no more than Write (KIP-679). No service may create or alter topics: `holdfast topics apply` does, as `operator`.
set -euo pipefail

tool=${KAFKA_ACLS:-kafka-acls.sh}
bootstrap=${BOOTSTRAP:-localhost:9092}
ns=${HOLDFAST_KAFKA_NAMESPACE:-}

allow() { # principal operation resource name [further options]
    local principal=$1 operation=$2 resource=$3 name=$4
    shift 4
    "$tool" --bootstrap-server "$bootstrap" ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} --add --force \
        --allow-principal "User:$principal" --operation "$operation" "--$resource" "$ns$name" "$@"
}
reads() { local who=$1; shift; for topic in "$@"; do allow "$who" Read topic "$topic"; done; }
writes() { local who=$1; shift; for topic in "$@"; do allow "$who" Write topic "$topic"; done; }

# The ledger: one transactional id for each task, `conversations.0` and so on.
reads conversations conversation.events conversation.decisions turns.finished turns.verified conversation.releases \
    conversations.state playbooks
writes conversations turns.opened conversation.responses turns.closed claims.judged conversations.state dead.letters
allow conversations Read group conversations
allow conversations Write transactional-id conversations. --resource-pattern-type prefixed
allow conversations Describe transactional-id conversations. --resource-pattern-type prefixed

reads matcher turns.opened playbooks
writes matcher turns.matched turns.finished dead.letters
allow matcher Read group matcher

reads reasoner turns.matched turns.opened playbooks
writes reasoner turns.drafted turns.finished dead.letters
allow reasoner Read group reasoner

# What the verifier writes here is what the ledger lets leave: nobody else may.
reads verifier turns.drafted turns.opened playbooks
writes verifier turns.verified dead.letters
allow verifier Read group verifier

# The observer keeps its tables' changelogs itself: nothing else rests on them.
reads observer claims.judged turns.closed
for changelog in observer-buckets-changelog observer-conversations-changelog; do
    reads observer "$changelog"
    writes observer "$changelog"
    allow observer Create topic "$changelog"
done
allow observer Read group observer

# The chat platform's own client.
writes platform conversation.events
reads platform conversation.responses turns.closed
allow platform Read group platform --resource-pattern-type prefixed

# People who decide on what a tool may do: a desk of yours, or `holdfast approve` run as this principal. What relays customers'
# messages is another client, and cannot allow anything.
writes approver conversation.decisions
reads approver conversation.responses conversation.decisions conversation.events
allow approver Read group approver --resource-pattern-type prefixed

# A tenant that HOLDFAST_KAFKA_TENANT_TOPICS names (as the services are given it) publishes as `platform-NAME`, and decides as
# `approver-NAME`, on topics that nobody else but the operator may write. Replies come on topics that all tenants share: let a client of yours read them and pass each on.
IFS=', ' read -r -a tenants <<<"${HOLDFAST_KAFKA_TENANT_TOPICS:-}"
for tenant in "${tenants[@]}"; do
    writes "platform-$tenant" "tenant.$tenant.conversation.events"
    writes "approver-$tenant" "tenant.$tenant.conversation.decisions"
    for who in reads writes; do
        "$who" operator "tenant.$tenant.conversation.events" "tenant.$tenant.conversation.decisions"
    done
    reads conversations "tenant.$tenant.conversation.events" "tenant.$tenant.conversation.decisions"
    allow keda Describe topic "tenant.$tenant.conversation.events"
done

# People: topics, playbooks, speaking to it as a customer would (`say`, `feed`), deciding, erasing, driving dead letters again
# to whatever a stage reads but turns.verified, with a receipt, in one transaction, and letting conversations out of quarantine.
# Nobody else may write conversation.releases: the ledger takes a record there as if it came on the topic that it names.
if [[ -n $ns ]]; then every=("" --resource-pattern-type prefixed); else every=("*"); fi
for operation in Create Describe DescribeConfigs; do allow operator "$operation" topic "${every[@]}"; done
reads operator conversation.events conversation.decisions turns.opened turns.matched turns.drafted turns.finished \
    turns.verified conversation.responses turns.closed claims.judged conversation.releases conversations.state \
    observer-conversations-changelog playbooks dead.letters
writes operator conversation.events conversation.decisions turns.opened turns.matched turns.drafted turns.finished \
    conversation.releases \
    dead.letters playbooks
allow operator Write transactional-id operator.redrive
allow operator Describe transactional-id operator.redrive
# Which inputs the ledger has paused stands beside its offsets.
allow operator Describe group conversations

# What autoscales: lag, and no record.
for topic in conversation.events turns.opened turns.matched turns.drafted; do allow keda Describe topic "$topic"; done
for group in conversations matcher reasoner verifier; do allow keda Describe group "$group"; done
