namespace RenderTrust.Cli.Platform.Brokers;

/// <summary>The program behind the components <c>pubsub</c> and <c>broadcast</c> on one box. It belongs to one platform and listens on loopback only.</summary>
internal interface ILocalBroker
{
    /// <summary>Its folder under <c>components/</c>, the name of its process in <c>status</c> and of its port.</summary>
    string Name { get; }

    /// <summary>Where it keeps messages.</summary>
    string Folder { get; }

    /// <summary>What its components read from the environment of the sidecar host.</summary>
    IReadOnlyDictionary<string, string> Addresses { get; }

    /// <summary>Writes its configuration. The programs are to be started in this order, each when the one before listens.</summary>
    Task<IReadOnlyList<BrokerProgram>> PrepareAsync(CancellationToken cancellationToken);

    /// <summary>Messages on <c>pubsub</c> that it has acknowledged and that some app has not taken yet.</summary>
    Task<long> UndeliveredAsync(CancellationToken cancellationToken);

    /// <summary>Leaves a text among its messages, as a leak would: the plaintext search must find it.</summary>
    Task PlantAsync(string text, CancellationToken cancellationToken);
}

/// <param name="Name">As in <c>status</c>.</param>
/// <param name="Port">Where it listens once it can be used.</param>
internal sealed record BrokerProgram(string Name, int Port, IReadOnlyList<string> Command, IReadOnlyDictionary<string, string>? Environment = null);
