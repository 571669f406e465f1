"""Tickets under a nemesis: is one ever spent twice?

The words are Jepsen's. A *workload* generates operations and applies them through clients, a *nemesis* injects faults
meanwhile, all of it goes into a *history*, and a *checker* judges that.
"""
