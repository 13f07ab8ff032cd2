"""Tests of upgrades behind a load balancer, from released versions and to the next one."""
