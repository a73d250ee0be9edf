"""Mail over SMTP, to any relay."""

from obverse.adapters.smtp.relay import SmtpSettings, open_smtp

__all__ = ["SmtpSettings", "open_smtp"]
