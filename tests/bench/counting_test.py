"""How callgrind's and strace's output is read."""

import unittest

from tests.bench import counting

STRACE = """\
100 execve("/bin/x", [...], 0x7 /* 9 vars */) = 0
100 write(1</tmp/pipe>, ""..., 12) = 12
100 sendto(5<socket:[77]>, ""..., 74, MSG_NOSIGNAL, NULL, 0) = 74
100 recvfrom(5<socket:[77]>,  <unfinished ...>
101 epoll_pwait2(7<anon_inode:[eventpoll]>,  <unfinished ...>
100 <... recvfrom resumed>""..., 65536, 0, NULL, NULL) = 69
101 <... epoll_pwait2 resumed>[{events=EPOLLIN}], 16, NULL, NULL, 8) = 1
101 write(8<anon_inode:[eventfd]>, ""..., 8) = 8
102 sendmsg(9<socket:[78]>,  <unfinished ...>
102 <... sendmsg resumed>{msg_name=NULL}, MSG_NOSIGNAL) = 30
102 sendto(9<socket:[78]>, ""..., 50, MSG_NOSIGNAL, NULL, 0) = -1 EAGAIN (Resource temporarily unavailable)
100 --- SIGCHLD {si_signo=SIGCHLD} ---
100 write(1</tmp/pipe>, ""..., 12) = 12
100 exit_group(0) = ?
100 +++ exited with 0 +++
"""

CALLGRIND = """\
--------------------------------------------------------------------------------
Ir
--------------------------------------------------------------------------------
20,333,016 (100.0%)  PROGRAM TOTALS

--------------------------------------------------------------------------------
Ir                  file:function
--------------------------------------------------------------------------------
20,333,000 (99.9%)  ???:main [/bin/x]
3,000 (30.1%)  a.cc:Parse(int) [/lib/a.so]
  900 ( 9.0%)  b.cc:Write() [/lib/a.so]
2,000 (20.1%)  a.cc:Parse(int) [/lib/b.so]
   10 ( 0.1%)  c.cc:Rare() [/lib/a.so]
"""


class StraceTest(unittest.TestCase):

    def test_phases_end_where_something_is_said(self):
        before, counted = counting.read_strace(STRACE.splitlines())
        self.assertEqual(before.names, {"execve": 1})
        self.assertEqual(before.sent, 0)
        self.assertEqual(counted.names,
                         {"sendto": 2, "recvfrom": 1, "epoll_pwait2": 1, "write": 1, "sendmsg": 1})
        self.assertEqual(counted.total(), 6)

    def test_bytes_are_those_that_sockets_took(self):
        self.assertEqual(counting.read_strace(STRACE.splitlines())[1].sent, 74 + 30)

    def test_counts_are_per_call(self):
        counted = counting.read_strace(STRACE.splitlines())[1].per_call(2)
        self.assertEqual(counted.names["sendto"], 1)
        self.assertEqual(counted.sent, 52)

    def test_nothing_is_nothing(self):
        self.assertEqual(counting.read_strace([]), [])


class CallgrindTest(unittest.TestCase):

    def test_profile_is_per_call_and_in_order(self):
        self.assertEqual(counting.profile_lines(CALLGRIND, 100),
                         ["    50.0  a.cc:Parse(int)", "     9.0  b.cc:Write()"])


class NotesTest(unittest.TestCase):

    def test_each_form_has_its_two_notes(self):
        self.assertEqual([counting.notes_of(form) for form in counting.FORMS], [(0, 1), (2, 3), (4, 5), (6, 7)])
        self.assertEqual(counting.NOTES, 8)


if __name__ == "__main__":
    unittest.main()
