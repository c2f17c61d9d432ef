using System.Diagnostics;
using System.Formats.Tar;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using RenderTrust.Agent.Images;
using RenderTrust.TestKit;

[assembly: AssemblyFixture(typeof(RenderTrust.Agent.Tests.Running.TestModules))]

namespace RenderTrust.Agent.Tests.Running;

/// <summary>
/// The real povray module, and one made from it whose entrypoint behaves as the unit's parameters say, both in a real
/// docker-registry. Made on first use; a machine without the tools gets a reason instead.
/// </summary>
public sealed class TestModules : IAsyncDisposable
{
    private const string Entrypoint = """
        #!/bin/sh
        set -u
        job=${RENDERTRUST_JOB:-/job}
        behaviour=$(jq -r '.parameters.behaviour' $job/unit.json)
        case "$behaviour" in
          succeed)
            echo 'progress 0.25'
            cat $job/in/data/input.txt > $job/out/result.txt
            jq -r '"\(.unitIndex) of \(.unitCount)"' $job/unit.json >> $job/out/result.txt
            echo 'progress 1' ;;
          fail) echo 'the scene has a hole'; exit 3 ;;
          hang) echo 'progress 0.1'; sleep 1000 & sleep 1000; sleep 1000 ;;
          eat) tail /dev/zero; exit 5 ;;
          fill) head -c 200000000 /dev/zero > $job/out/big.bin || exit 6 ;;
          look)
            cat /proc/net/dev > $job/out/network.txt
            cat /proc/self/status > $job/out/status.txt
            for file in /rendertrust/x /etc/x $job/in/x $job/unit.json /usr/bin/x; do
              if ( : > "$file" ) 2> /dev/null; then echo "$file"; fi
            done > $job/out/writable.txt
            ls /proc | while read -r entry; do case "$entry" in [0-9]*) echo "$entry" ;; esac; done > $job/out/processes.txt ;;
          spawn)
            i=0
            while [ $i -lt 500 ]; do sleep 20 & i=$((i + 1)); done
            echo spawned > $job/out/spawned.txt ;;
        esac
        """;

    private readonly SemaphoreSlim _lock = new(1, 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("rendertrust-modules-").FullName;
    private Process? _registry;
    private string? _whyNot;
    private bool _made;

    internal ModuleImage Contract { get; private set; } = null!;

    internal ModuleImage Povray { get; private set; } = null!;

    public string RegistryAddress { get; private set; } = "";

    public string RegistryStorage => Path.Combine(_folder, "storage");

    /// <summary>A layout that was built before, by another user for example, saves making one here.</summary>
    public string Layout { get; } = Environment.GetEnvironmentVariable("RENDERTRUST_TEST_POVRAY_LAYOUT") is { Length: > 0 } built
        ? built
        : Path.Combine(Directory.CreateTempSubdirectory("rendertrust-layout-").FullName, "povray");

    /// <summary>Null when ready; otherwise why these tests cannot run here.</summary>
    public async Task<string?> MakeAsync(CancellationToken cancellationToken)
    {
        await _lock.WaitAsync(cancellationToken);
        try
        {
            if (_made)
            {
                return _whyNot;
            }

            foreach (var tool in (string[])["mmdebstrap", "docker-registry", "curl"])
            {
                if (!File.Exists("/usr/bin/" + tool))
                {
                    _made = true;
                    return _whyNot = $"{tool} is not installed (apt-get install {tool})";
                }
            }

            await StartRegistryAsync(cancellationToken);
            var reference = await BuildAsync(cancellationToken);
            Povray = ModuleImage.Parse(reference.Split('@')[0], reference.Split('@')[1]);
            Contract = await PushVariantAsync("rendertrust/contract", Entrypoint, cancellationToken);
            _made = true;
            return null;
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Pushes the povray image with one more layer that replaces its entrypoint.</summary>
    internal async Task<ModuleImage> PushVariantAsync(string name, string entrypoint, CancellationToken cancellationToken)
    {
        using var layer = new MemoryStream();
        await using (var tar = new TarWriter(layer, TarEntryFormat.Gnu, leaveOpen: true))
        {
            await tar.WriteEntryAsync(new GnuTarEntry(TarEntryType.RegularFile, "rendertrust/entrypoint")
            {
                Mode = (UnixFileMode)0x1ed,
                DataStream = new MemoryStream(Encoding.UTF8.GetBytes(entrypoint)),
            }, cancellationToken);
        }

        var manifest = JsonNode.Parse(await File.ReadAllBytesAsync(Blob(await PovrayDigestAsync(cancellationToken)), cancellationToken))!;
        var config = JsonNode.Parse(await File.ReadAllBytesAsync(Blob((string)manifest["config"]!["digest"]!), cancellationToken))!;
        var layerDigest = Digest(layer.ToArray());
        config["rootfs"]!["diff_ids"]!.AsArray().Add(layerDigest);
        var configBytes = Encoding.UTF8.GetBytes(config.ToJsonString());
        manifest["config"]!["digest"] = Digest(configBytes);
        manifest["config"]!["size"] = configBytes.Length;
        manifest["layers"]!.AsArray().Add(new JsonObject
        {
            ["mediaType"] = "application/vnd.oci.image.layer.v1.tar",
            ["digest"] = layerDigest,
            ["size"] = layer.Length,
        });
        var manifestBytes = Encoding.UTF8.GetBytes(manifest.ToJsonString());

        using var http = new HttpClient { BaseAddress = new Uri($"http://{RegistryAddress}/v2/{name}/") };
        await PutBlobAsync(http, layer.ToArray(), cancellationToken);
        await PutBlobAsync(http, configBytes, cancellationToken);
        await PutBlobAsync(http, await File.ReadAllBytesAsync(Blob((string)manifest["layers"]![0]!["digest"]!), cancellationToken), cancellationToken);
        using var content = new ByteArrayContent(manifestBytes);
        content.Headers.ContentType = new("application/vnd.oci.image.manifest.v1+json");
        (await http.PutAsync($"manifests/{Digest(manifestBytes)}", content, cancellationToken)).EnsureSuccessStatusCode();
        return ModuleImage.Parse($"{RegistryAddress}/{name}", Digest(manifestBytes));
    }

    /// <summary>The registry's file of one blob, for tampering.</summary>
    public string StoredBlob(string digest)
    {
        var hex = digest["sha256:".Length..];
        return Path.Combine(RegistryStorage, "docker/registry/v2/blobs/sha256", hex[..2], hex, "data");
    }

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
        {
            _registry.Kill();
            await _registry.WaitForExitAsync();
            _registry.Dispose();
        }

        if (Environment.GetEnvironmentVariable("RENDERTRUST_TEST_POVRAY_LAYOUT") is not { Length: > 0 })
        {
            Directory.Delete(Path.GetDirectoryName(Layout)!, recursive: true);
        }

        _lock.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static string RepositoryRoot([CallerFilePath] string file = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, "../../.."));

    private static string Digest(byte[] bytes) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static async Task PutBlobAsync(HttpClient http, byte[] bytes, CancellationToken cancellationToken)
    {
        var opened = await http.PostAsync("blobs/uploads/", null, cancellationToken);
        opened.EnsureSuccessStatusCode();
        var location = new Uri(http.BaseAddress!, opened.Headers.Location!).ToString();
        using var content = new ByteArrayContent(bytes);
        (await http.PutAsync($"{location}{(location.Contains('?') ? '&' : '?')}digest={Digest(bytes)}", content, cancellationToken)).EnsureSuccessStatusCode();
    }

    private string Blob(string digest) => Path.Combine(Layout, "blobs/sha256", digest["sha256:".Length..]);

    private async Task<string> PovrayDigestAsync(CancellationToken cancellationToken) =>
        (string)JsonNode.Parse(await File.ReadAllBytesAsync(Path.Combine(Layout, "image.json"), cancellationToken))!["digest"]!;

    private async Task<string> BuildAsync(CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(Path.Combine(RepositoryRoot(), "edge/modules/povray/build.sh"), ["--out", Layout, "--push", RegistryAddress])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync(cancellationToken);
        var output = await process.StandardOutput.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        Assert.True(process.ExitCode == 0, await errors);
        return output.Trim().Split('\n')[^1];
    }

    private async Task StartRegistryAsync(CancellationToken cancellationToken)
    {
        RegistryAddress = $"127.0.0.1:{TestPorts.Free()}";
        var config = Path.Combine(_folder, "registry.yml");
        await File.WriteAllTextAsync(config, $$$"""
            version: 0.1
            log: {level: error, accesslog: {disabled: true}}
            storage: {filesystem: {rootdirectory: {{{RegistryStorage}}}}}
            http: {addr: {{{RegistryAddress}}}}
            """, cancellationToken);
        _registry = Process.Start(new ProcessStartInfo("docker-registry", ["serve", config]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        using var http = new HttpClient();
        for (var i = 0; ; i++)
        {
            try
            {
                await http.GetAsync(new Uri($"http://{RegistryAddress}/v2/"), cancellationToken);
                return;
            }
            catch (HttpRequestException) when (i < 200)
            {
                await Task.Delay(25, cancellationToken);
            }
        }
    }
}
