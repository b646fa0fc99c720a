"""Mistakes in executing transactions and in the contracts' rules."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

EXECUTION = "tests/contracts/test_execution.py::"
PREPAID = "tests/contracts/test_prepaid.py::"
PARTIES = "tests/contracts/test_parties.py::"
ATTEST = "tests/contracts/test_attest.py::"

MUTANTS = (
    Mutant(
        "duplicate-in-the-block",
        "contracts/execution.py",
        "        if tx_id in self._tx_ids or (taker",
        "        if (taker",
        "a transaction may stand twice in one block",
        EXECUTION + "test_a_duplicate_is_inadmissible_in_the_same_and_in_a_later_block",
    ),
    Mutant(
        "duplicate-on-the-chain",
        "contracts/execution.py",
        " or (taker is not None and self._is_on_chain(tx_id, taker)):",
        ":",
        "a transaction that is on the chain comes onto it again",
        EXECUTION + "test_a_duplicate_is_inadmissible_in_the_same_and_in_a_later_block",
    ),
    Mutant(
        "duplicate-under-a-taken-reference",
        "contracts/execution.py",
        "        return taker[0] == tx_id or self._chain",
        "        return taker[0] == tx_id and self._chain",
        "a body whose reference another one took comes onto the chain again",
        EXECUTION + "test_a_body_whose_reference_is_anothers_is_a_duplicate_all_the_same",
    ),
    Mutant(
        "stale-accepted",
        "contracts/execution.py",
        "    if time_ms <= not_after <= time_ms + window_ms:",
        "    if not_after <= time_ms + window_ms:",
        "a transaction is taken after its deadline",
        EXECUTION + "test_not_after_lies_between_the_blocks_time_and_the_window",
    ),
    Mutant(
        "window-open",
        "contracts/execution.py",
        "    if time_ms <= not_after <= time_ms + window_ms:",
        "    if time_ms <= not_after:",
        "a deadline may lie beyond the window of the duplicate set",
        EXECUTION + "test_not_after_lies_between_the_blocks_time_and_the_window",
    ),
    Mutant(
        "key-known-for-anybody",
        "contracts/execution.py",
        "        pair = (signer, public_key)\n",
        '        pair = ("", public_key)\n',
        "a key found good for one party is good for another",
        EXECUTION + "test_a_key_found_good_for_one_party_is_not_good_for_another",
    ),
    Mutant(
        "reference-free-in-the-block",
        "contracts/execution.py",
        "            if taken_by is None:\n"
        "                self._references[key] = transaction.tx_id\n"
        "            else:\n",
        "            if taken_by is not None:\n",
        "within a block a business reference may be used twice",
        EXECUTION + "test_a_reference_is_taken_within_a_block_and_later_until_its_window_ends",
    ),
    Mutant(
        "reference-free-too-early",
        "contracts/execution.py",
        "reference_window_ms >= self.time_ms",
        "reference_window_ms > self.time_ms",
        "a business reference is free while its window lasts",
        EXECUTION + "test_a_reference_is_taken_within_a_block_and_later_until_its_window_ends",
    ),
    Mutant(
        "reference-handed-on",
        "contracts/execution.py",
        '            else:\n                key = b""\n            done',
        "            done",
        "a reused reference then belongs to its second user",
        EXECUTION + "test_a_reused_reference_does_not_hand_the_reference_on",
    ),
    Mutant(
        "entry-not-counted",
        "contracts/execution.py",
        "            state.count += 1\n",
        "            state.count += not self._outcomes[len(self._rows)].refused\n",
        "a refused attempt is not counted in its stream",
        EXECUTION + "test_a_stream_counts_what_no_contract_answers_for",
    ),
    Mutant(
        "half-an-exception",
        "contracts/execution.py",
        "                failures.append(ExecutionFailed(position, transaction.tx_id, error))\n"
        "                continue\n",
        '                outcome, record = refused("failed"), state.record\n'
        "                raw = encode(outcome)\n",
        "a mistake of ours becomes an outcome on the chain",
        EXECUTION + "test_an_exception_names_its_position_and_nothing_of_it_is_kept",
    ),
    Mutant(
        "overspending",
        "contracts/prepaid.py",
        "    if amount > record.locked:",
        "    if amount > record.locked + 1:",
        "a fen more than is locked may be released",
        PREPAID + "test_never_more_than_is_locked",
    ),
    Mutant(
        "refund-not-counted",
        "contracts/prepaid.py",
        "            refunded=record.refunded + data.amount,\n",
        "",
        "refunded money vanishes from the record",
        PREPAID + "test_money_is_locked_released_and_given_back",
    ),
    Mutant(
        "attester-missing",
        "contracts/prepaid.py",
        "        if parties[role] not in signers:",
        "        if not signers:",
        "a needed attester's signature may be missing",
        PREPAID + "test_exactly_who_must_attest",
    ),
    Mutant(
        "stranger-signs",
        "contracts/prepaid.py",
        "        if signer not in parties.values():",
        "        if not signer:",
        "somebody who is not of the contract signs along",
        PREPAID + "test_nobody_else_may_sign_along",
    ),
    Mutant(
        "opened-twice",
        "contracts/prepaid.py",
        '    if context.record is not None:\n        raise Refusal("already_open"',
        '    if context.height < 0:\n        raise Refusal("already_open"',
        "an open contract may be opened again, with its money gone",
        PREPAID + "test_a_contract_is_opened_once_and_in_a_contracts_stream",
    ),
    Mutant(
        "revoked-key-signs",
        "contracts/parties.py",
        "    if not key.is_valid_at(height):",
        "    if key.from_height < 0:",
        "a key signs before its first and after its last height",
        PARTIES + "test_keys_begin_and_end_at_exact_heights",
    ),
    Mutant(
        "revoked-party-signs",
        "contracts/parties.py",
        "    if record.is_revoked_at(height):",
        "    if height < 0:",
        "a revoked party goes on signing",
        PARTIES + "test_a_revoked_party_signs_up_to_the_height_of_its_revocation",
    ),
    Mutant(
        "evidence-not-verified",
        "contracts/equivocation.py",
        "        evidence.verify(context.validators, context.chain_id)\n",
        "",
        "invented votes convict a validator",
        ATTEST + "test_evidence_that_proves_nothing_is_refused",
    ),
    Mutant(
        "evidence-recorded-twice",
        "contracts/equivocation.py",
        "    if slot in record.slots:",
        "    if not slot:",
        "one contradiction is recorded again and again",
        ATTEST + "test_a_slot_is_recorded_once_and_each_slot_for_itself",
    ),
    Mutant(
        "evidence-in-anothers-stream",
        "contracts/equivocation.py",
        "    if context.stream != validator_stream(validator):",
        "    if not context.stream:",
        "a conviction may be hidden in another stream",
        ATTEST + "test_evidence_stands_in_the_validators_own_stream",
    ),
)
