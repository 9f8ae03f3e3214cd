"""Writing to descriptor 3, the program's own channel to its judge. It can make claims about itself, and no more."""

from __future__ import annotations

from tests.verifiers.sandbox.attacks.attack import Attack

_SAY = """
import json, os, struct, time
def say(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    body = struct.pack("<I", len(body)) + body
    while body:
        body = body[os.write(3, body):]
"""


def _claim(name: str, program: str) -> Attack:
    return Attack(name, _SAY + program, stdout=None)


def _in_call(name: str, *lines: str) -> Attack:
    return _claim(name, "def answer(x):\n" + "".join(f"    {line}\n" for line in lines))


def _forged(name: str, message: str) -> Attack:
    return _in_call(name, f"say({message})", "os._exit(0)")


CLAIMS = (
    _claim("ready, begun and passed before its time",
           "for frame in ({'begun': True}, {'ready': True}, {'passed': True}):\n    say(frame)\nos._exit(0)"),
    _claim("answers to all calls in advance",
           "say({'ready': True})\nfor n in range(100):\n    say({'call': n, 'value': '{\"i\":\"0\"}'})\n"
           "time.sleep(600)"),
    _claim("answers without values", "say({'ready': True})\nfor n in range(5):\n    say({'call': n})\ntime.sleep(600)"),
    _claim("the report of a supervisor",
           "say({'ended': 0, 'reason': '', 'cpu_s': 0, 'wall_s': 0})\nsay({'failed': 'the sandbox'})\nos._exit(0)"),
    _claim("the machine was at fault", "say({'ended': 0, 'reason': 'stalled'})\nsay({'stalled': True})\nos._exit(0)"),
    _claim("nothing at all", "os.close(3)\ndef answer(x):\n    return 42"),
    _claim("one frame now and then, so that no time runs out", "while True:\n    time.sleep(0.12)\n    say({'x': 1})"),
    _in_call("one frame now and then, in the call", "while True:", "    time.sleep(0.12)", "    say({'x': 1})"),
    _in_call("begun, again and again", "while True:", "    time.sleep(0.05)", "    say({'begun': True})"),
    _in_call("a flood of small frames", "while True:", "    os.write(3, struct.pack('<I', 2) + b'{}')"),
    _in_call("a flood of answers to another call", "while True:", "    say({'call': 10**9, 'value': 'null'})"),
    _in_call("a flood of no frames", "while True:", "    os.write(3, bytes([255]) * 4096)"),
    _in_call("a frame that is announced and never comes", "os.write(3, struct.pack('<I', 1000) + b'{')",
             "time.sleep(600)"),
    _in_call("a frame of no length", "os.write(3, bytes(4))", "os._exit(0)"),
    _in_call("a frame of two gigabytes", "os.write(3, struct.pack('<I', 1 << 31))", "time.sleep(600)"),
    _in_call("one byte at a time", "for byte in struct.pack('<I', 2) + b'{}':", "    os.write(3, bytes([byte]))",
             "    time.sleep(0.01)", "os._exit(0)"),
    _in_call("data out of band", "import socket", "end = socket.socket(fileno=3)",
             "end.send(b'x', socket.MSG_OOB)", "time.sleep(600)"),
    _in_call("descriptors beside the data", "import array, socket", "end = socket.socket(fileno=3)",
             "rights = array.array('i', [0, 1, 2, 3])",
             "end.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])", "os._exit(0)"),
    _in_call("half of the channel is closed", "import socket", "end = socket.socket(fileno=3)",
             "end.shutdown(socket.SHUT_WR)", "time.sleep(600)"),
    _in_call("the other half is closed", "import socket", "end = socket.socket(fileno=3)",
             "end.shutdown(socket.SHUT_RD)", "time.sleep(600)"),
    _in_call("another process answers", "if os.fork():", "    os._exit(0)",
             "say({'call': 0, 'value': '{\"i\":\"7\"}'})",
             "time.sleep(600)"),
    _forged("no JSON", "b'{'"),
    _forged("JSON that is no object", "b'[1]'"),
    _forged("JSON in another encoding", "'{\"value\": 1}'.encode('utf-16')"),
    _forged("JSON with a byte that is no text", "b'{\"value\": \"\\xff\"}'"),
    _forged("JSON nested beyond all depth", "b'[' * 100000"),
    _forged("JSON nested just below the limit", "b'{\"raised\": [\"x\",' + b'[' * 950 + b']' * 950 + b']}'"),
    _forged("a number of five thousand digits", "b'{\"call\": 0, \"died\": ' + b'9' * 5000 + b'}'"),
    _forged("a number of four thousand digits", "b'{\"call\": 0, \"died\": -' + b'9' * 4000 + b'}'"),
    _forged("NaN and infinity", "b'{\"call\": 0, \"died\": NaN, \"value\": Infinity}'"),
    _forged("a value that is no text", "{'call': 0, 'value': {'i': '42'}}"),
    _forged("a value that is no JSON", "{'call': 0, 'value': '{'}"),
    _forged("a value of no kind", "{'call': 0, 'value': '{\"x\": [1]}'}"),
    _forged("a value of two kinds", "{'call': 0, 'value': '{\"i\": \"1\", \"f\": \"1\"}'}"),
    _forged("a list as an int", "{'call': 0, 'value': '{\"i\": [1]}'}"),
    _forged("an int that is no number", "{'call': 0, 'value': '{\"i\": \"4_2x\"}'}"),
    _forged("a float beyond all floats", "{'call': 0, 'value': '{\"f\": \"0x1p999999999\"}'}"),
    _forged("a complex number of one part", "{'call': 0, 'value': '{\"c\": [\"0x1p0\"]}'}"),
    _forged("a set of lists", "{'call': 0, 'value': '{\"s\": [[1], [2]]}'}"),
    _forged("a dict of lists", "{'call': 0, 'value': '{\"d\": [[[1], 2]]}'}"),
    _forged("a dict of no pairs", "{'call': 0, 'value': '{\"d\": [1, 2]}'}"),
    _forged("an opaque value of numbers", "{'call': 0, 'value': '{\"o\": [1, 2]}'}"),
    _forged("an exception that is no list", "{'call': 0, 'raised': 7}"),
    _forged("an exception of lists", "{'call': 0, 'raised': [[1], [2]]}"),
    _forged("an exception with a terminal's commands", "{'call': 0, 'raised': ['\\x1b[31m', '\\x1b]0;x\\x07']}"),
    _forged("a value too large, of lists", "{'call': 0, 'too_large': [[1]]}"),
    _forged("a death of text", "{'call': 0, 'died': 'x'}"),
    _forged("a death by an unknown signal", "{'call': 0, 'died': -1000}"),
    _forged("a death with success", "{'call': 0, 'died': 0}"),
    _forged("a call that is true", "{'call': False, 'value': '{\"i\":\"7\"}'}"),
)  # fmt: skip
