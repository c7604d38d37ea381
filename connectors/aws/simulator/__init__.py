"""EC2, STS and IAM over loopback: moto's server, with IAM enforced, faults, a log, a dump and a state that is kept.

moto keeps everything in memory. What was written is therefore noted in a state file and done again at the next start,
with the same seeds for its random numbers, so that instances keep their ids.
"""
