"""A server that speaks as Microsoft Entra and Microsoft Graph do, over loopback, with state that can be looked at.

It is used by the tests and by the demonstration, through the real SDK. It imports the SDK's models, to hold requests
and answers against them, and nothing else of the connector.
"""
