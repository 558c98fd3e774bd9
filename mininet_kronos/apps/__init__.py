"""Ryu applications that come with mininet_kronos."""
