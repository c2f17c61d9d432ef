using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using RenderTrust.A2A;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.Tests.Hosting;

internal static class TestData
{
    public static ModuleVersion Module(string? publicSchema = """{"type":"object","properties":{"quality":{"type":"integer","minimum":1,"maximum":9}}}""") => new(
        "povray", "1.0.0", "POV-Ray", "Ray-traces scenes.", TenantId.New(), 60_000,
        new ModuleRuntime("127.0.0.1:5000/rendertrust/povray", "sha256:" + new string('a', 64), DeviceKind.Cpu, 512, 64, 64, 64, 1),
        publicSchema is null ? null : JsonDocument.Parse(publicSchema).RootElement, null, null, ["render"], [], new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    public static byte[] Sealed(string content) => [.. "RTSEAL1\n"u8, .. Encoding.UTF8.GetBytes(content)];

    public static AssetRef Ref(byte[] bytes) => new(Guid.CreateVersion7(), Convert.ToHexStringLower(SHA256.HashData(bytes)), bytes.Length);

    public static AssetGrant Grant(Guid assetId) => new(assetId, "node-key", new byte[65], new byte[48]);

    /// <summary>A spec whose manifest and one asset are the given bytes.</summary>
    public static JobSpec Spec(byte[] manifest, byte[] asset)
    {
        var (m, a) = (Ref(manifest), Ref(asset));
        return new JobSpec(JobId.New(), "povray@1.0.0", m, 8, 30, 1_000_000, 3600, [a], [Grant(m.AssetId), Grant(a.AssetId)]);
    }

    public static Part SpecPart(JobSpec spec) => Part.FromData(spec, MediaTypes.JobSpec, WireJson.Options);

    public static Part SealedPart(byte[] bytes) => Part.FromRaw(bytes, MediaTypes.Sealed);

    public static SendMessageRequest Message(params Part[] parts) => new()
    {
        Message = new Message { MessageId = Guid.CreateVersion7().ToString(), Role = Role.User, Parts = parts },
        Configuration = new SendMessageConfiguration { ReturnImmediately = true },
    };

    /// <summary>A complete, valid submission with everything inline.</summary>
    public static (SendMessageRequest Request, JobSpec Spec) Submission()
    {
        var (manifest, asset) = (Sealed("manifest" + Guid.CreateVersion7()), Sealed("asset"));
        var spec = Spec(manifest, asset);
        return (Message(SpecPart(spec), SealedPart(manifest), SealedPart(asset)), spec);
    }

    public static UnitOutput Output() => new(Guid.CreateVersion7(), new string('b', 64), 100, new string('c', 64), []);
}
