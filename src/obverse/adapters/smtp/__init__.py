"""Mail over SMTP: to any relay, and to the local inbox, which can be asked what it has."""

from obverse.adapters.smtp.inbox import LocalInboxSettings, open_local_inbox
from obverse.adapters.smtp.relay import SmtpSettings, open_smtp

__all__ = ["LocalInboxSettings", "SmtpSettings", "open_local_inbox", "open_smtp"]
