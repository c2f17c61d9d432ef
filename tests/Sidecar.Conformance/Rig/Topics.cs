namespace RenderTrust.Sidecar.Conformance.Rig;

/// <summary>What a recording app answers to <c>GET /dapr/subscribe</c>; more subscriptions stand in Components/open/subscriptions.yaml.</summary>
internal static class Topics
{
    public const string Subscriptions = """
        [
          {"pubsubname": "pubsub", "topic": "plain", "route": "/on/plain"},
          {"pubsubName": "pubsub", "topic": "plain/nested", "route": "on/nested"},
          {"pubsubname": "pubsub", "topic": "raw", "route": "/on/raw", "metadata": {"rawPayload": "true"}},
          {"pubsubname": "pubsub", "topic": "lost", "route": "/missing/route"},
          {"pubsubname": "pubsub", "topic": "dead", "route": "/on/dead", "deadLetterTopic": "letters"},
          {"pubsubname": "pubsub", "topic": "dead-lost", "route": "/missing/route", "deadLetterTopic": "letters"},
          {"pubsubname": "pubsub", "topic": "letters", "route": "/on/letters"},
          {"pubsubname": "pubsub", "topic": "ruled", "routes": {"rules": [
            {"match": "event.type == \"widget\"", "path": "/on/widgets"},
            {"match": "event.type.startsWith(\"gadget\")", "path": "/on/gadgets"},
            {"match": "event.source in [\"north\", \"south\"]", "path": "/on/poles"}], "default": "/on/others"}},
          {"pubsubname": "pubsub", "topic": "strict", "routes": {"rules": [{"match": "event.type == \"widget\"", "path": "/on/strict"}]}, "deadLetterTopic": "letters"},
          {"pubsubname": "pubsub", "topic": "both", "route": "/on/both"},
          {"pubsubname": "pubsub", "topic": "bulk", "route": "/bulk", "bulkSubscribe": {"enabled": true, "maxMessagesCount": 10, "maxAwaitDurationMs": 100}},
          {"pubsubname": "scoped", "topic": "allowed", "route": "/on/allowed"},
          {"pubsubname": "scoped", "topic": "deaf", "route": "/on/deaf"}
        ]
        """;

    /// <summary>For the app behind the guarded sidecar.</summary>
    public const string Guarded = """[{"pubsubname": "pubsub", "topic": "plain", "route": "/on/plain"}]""";
}
