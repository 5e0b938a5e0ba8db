"""
The embedded stack: brokers, services and, for a demo, the simulator on this machine.

A `Stack` runs all of them as child processes of the program that owns it. A *shared* stack is a
`Stack` owned by a supervisor, a detached process that does nothing else. Every program that needs
it calls `join_stack` and is one of its users until it leaves or ends. Supervisor and users share
nothing but files in the stack's folder:

`stack.lock`
    Exclusive lock of the owner, the process that runs or starts the stack.
`stack.json`
    Description of a stack that is ready: its owner, how to reach the bus.
`users.lock`
    Shared lock of all users.
`session.json`
    What a supervisor leaves to its successor: passwords, ports, the simulator's clock.
`keep`
    Exists after `lean-lite up`: the stack runs without users.

Start. A program that finds no description of a running process acquires `stack.lock` and starts a
supervisor, which inherits the lock. Of several programs one succeeds; the others wait for
`stack.json` as it does. Then each acquires `users.lock` and reads `stack.json` once more, because
the stack may have stopped in between.

Stop. The supervisor tries each second to acquire `users.lock` exclusively. When there has been no
user for `stack.linger_s`, and no `keep`, it holds that lock, removes `session.json` and stops its
children. A program that joins meanwhile waits, then starts another stack. `end_stack`
(`lean-lite down`) stops the supervisor even while there are users.

Crash. The children of a killed supervisor die with it (on Linux), and `session.json` stays: that
distinguishes a crash from a stop. Every user checks `stack.json` twice a second. The first that
finds its owner dead starts another supervisor, as above; because users still hold `users.lock`, it
resumes the state: same ports and passwords, a demo's data kept, the simulator's clock continued.
Connections to the bus come back by themselves. Without users the next start is a fresh one.

Loss. After `end_stack`, after three failed attempts to restart, or when another program has taken
the port, users can't continue: `Membership.lost` is set, and they have to join again. The same
happens when a stack in the foreground ends (`lean-lite demo`), since it has no `session.json`.

The kernel releases the locks, so none is left after any order of kills. Decision 0005 has the
alternatives.
"""

from lean_lite.stack.folder import MODES, Mode, default_folder, find_stack
from lean_lite.stack.identity import account_of, mode_of
from lean_lite.stack.processes.simulator import SimulatorOptions
from lean_lite.stack.shared.membership import Membership, join_stack
from lean_lite.stack.shared.shutdown import end_stack
from lean_lite.stack.stack import SERVICES, Stack

__all__ = [
    "MODES",
    "SERVICES",
    "Membership",
    "Mode",
    "SimulatorOptions",
    "Stack",
    "account_of",
    "default_folder",
    "end_stack",
    "find_stack",
    "join_stack",
    "mode_of",
]
