"""To which controls the journal can be evidence. What a control asks is told in short and from memory of its text: each
line must be checked by a compliance reader before it is claimed."""

from __future__ import annotations

CONTROLS = """\
# Controls and where to look

To be checked by a compliance reader: numbers and wording of the controls are short forms, and no claim of conformity.

| control | asks, in short | evidence here |
|---|---|---|
| NIST 800-53 AC-2(2) | emergency accounts end automatically | entries of grants: requested, begun, ended, proof of the end |
| NIST 800-53 AC-3(2), AC-5 | dual authorization, separation of duties | approvals with signatures, overrides and their reviews |
| NIST 800-53 AC-6(9), AU-12 | privileged functions are logged | `effect.intended` and `effect.ended` of each change |
| NIST 800-53 AU-5 | reaction to failures of the audit | `anchor.lost`, `anchor.restored`, `journal.unsealed` |
| NIST 800-53 AU-9(2), AU-9(3) | separate storage, cryptographic protection | seals.ndjson, anchors.txt, the result of the verifier |
| NIST 800-53 AU-10 | non-repudiation | signed approvals; seals; actor and session of each header |
| NIST 800-53 AU-11 | retention | `journal.retained`: policy, what was erased and kept |
| PCI DSS 10.2.1, 10.2.2 | who, what, when, where, result | the header of each entry and its payload |
| PCI DSS 10.3 | logs are protected and promptly elsewhere | anchors, at most a minute apart |
| PCI DSS 10.5.1 | twelve months, three at hand | `journal.retained`, the time of the first entry |
| PCI DSS 10.6, ISO 27001 A.8.17 | clocks agree | `at` and `mono` of each header, `clock.jumped` |
| PCI DSS 10.7 | failures of controls are detected | `anchor.lost`, `journal.unsealed`, heartbeats and their gaps |
| PCI DSS 7.2, 8.2.2 | least privilege, no shared accounts | roles in manifest.json, `request.refused` |
| SOC 2 CC6.1 to CC6.3 | access is given, approved and taken away | entries of grants |
| SOC 2 CC7.3 to CC7.5, A1.2, A1.3 | incidents are handled, recovery is tested | the entries of an incident or run, in order |
| SOC 2 CC8.1, ISO 27001 A.8.32 | changes in emergencies are controlled | plan, approval, intent, read-back of each run |
| ISO 27001 A.5.15 to A.5.18, A.8.2, A.8.18 | access, privileged rights and tools | as above |
| ISO 27001 A.5.28 to A.5.30, A.8.15 | evidence, continuity, logging | this bundle |
| DORA art. 11, 12 | response and recovery plans, tested, with records | runs of runbooks with figures against RTO and RPO |
"""
