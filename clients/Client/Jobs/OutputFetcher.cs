using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using RenderTrust.Client.Http;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.Client.Jobs;

/// <summary>A file of a job's output, opened, checked and written.</summary>
/// <param name="Path">As the module named it.</param>
/// <param name="FileName">Where it is now.</param>
public sealed record FetchedOutput(int UnitIndex, string Path, string FileName, long SizeBytes, string BlobSha256, string KeyedHash);

/// <summary>Downloads sealed outputs, checks them against what the node reported, and opens them.</summary>
internal sealed class OutputFetcher(HttpClient http, RecipientKeyPair ownKey, TimeProvider time)
{
    private const int MaxTries = 5;
    private const int BufferBytes = 65_536;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);

    /// <param name="nameOf">Where the file of a path goes; asked once the path is known to be safe.</param>
    public async Task<FetchedOutput> FetchAsync(
        JobKeys job, int unitIndex, UnitOutput output, string directory, Func<string, string> nameOf, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(directory);
        var part = Path.Combine(directory, $".{output.BlobSha256}.{Guid.CreateVersion7():N}.part");
        try
        {
            await using var container = new FileStream(part, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.ReadWrite,
                Options = FileOptions.DeleteOnClose | FileOptions.Asynchronous,
            });
            await DownloadAsync(output, container, cancellationToken);
            container.Position = 0;
            return await OpenAsync(job, unitIndex, output, container, directory, nameOf, cancellationToken);
        }
        catch (SealingException exception)
        {
            throw Corrupted(unitIndex, output, exception.Message, exception);
        }
    }

    private async Task<FetchedOutput> OpenAsync(
        JobKeys job, int unitIndex, UnitOutput output, Stream container, string directory, Func<string, string> nameOf, CancellationToken cancellationToken)
    {
        var grant = output.Grants.FirstOrDefault(grant => grant.RecipientKeyId == ownKey.PublicKey.KeyId)
            ?? throw Corrupted(unitIndex, output, $"it carries no grant for this profile's key {ownKey.PublicKey.KeyId}");
        using var key = Grants.Open(grant.ToGrant(), ownKey, new GrantContext(job.JobId.Value, job.ManifestSha256, output.AssetId));
        // One file an output: its keyed hash covers one path. The plaintext is never longer than what carried it.
        var limits = new AssetLimits { MaxFiles = 1, MaxFileBytes = output.SizeBytes, MaxTotalBytes = output.SizeBytes };
        var temporary = Path.Combine(directory, $".{output.AssetId:N}.{Guid.CreateVersion7():N}.open");
        try
        {
            var entries = await AssetOpener.OpenAsync(
                key, output.AssetId, container, (_, _) => Task.FromResult<Stream>(File.Create(temporary, BufferBytes, FileOptions.Asynchronous)), limits, cancellationToken);
            var entry = entries[0];
            await using (var opened = File.OpenRead(temporary))
            {
                var hash = await OutputHash.ComputeAsync(job.OutputHashKey, entry.Path, opened, cancellationToken);
                if (hash != output.KeyedHash)
                {
                    throw Corrupted(unitIndex, output, $"its content has the keyed hash {hash}, its node reported {output.KeyedHash}");
                }
            }

            var fileName = Path.Combine(directory, nameOf(entry.Path));
            Directory.CreateDirectory(Path.GetDirectoryName(fileName)!);
            File.Move(temporary, fileName, overwrite: true);
            return new FetchedOutput(unitIndex, entry.Path, fileName, entry.SizeBytes, output.BlobSha256, output.KeyedHash);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>Goes on where a broken download stopped; the hash over all of it decides.</summary>
    private async Task DownloadAsync(UnitOutput output, FileStream target, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[BufferBytes];
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, $"/v1/blobs/{output.BlobSha256}");
                request.Headers.Range = target.Position > 0 ? new RangeHeaderValue(target.Position, null) : null;
                using var response = await http.AskAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
                await response.RequireSuccessAsync(cancellationToken);
                await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
                if (target.Position > 0 && response.StatusCode != HttpStatusCode.PartialContent)
                {
                    // The server starts over, so do we.
                    target.SetLength(0);
                    hash.GetHashAndReset();
                }

                for (int read; (read = await body.ReadAsync(buffer, cancellationToken)) > 0;)
                {
                    if (target.Position + read > output.SizeBytes)
                    {
                        throw Corrupted(-1, output, $"the platform sends more than the {output.SizeBytes} bytes that its node reported");
                    }

                    hash.AppendData(buffer, 0, read);
                    await target.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                }

                if (target.Position == output.SizeBytes)
                {
                    break;
                }
            }
            catch (Exception exception) when (IsBreak(exception) && attempt < MaxTries)
            {
                // The connection broke: go on from here after a pause.
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException)
            {
                throw Answers.Unreachable(http.BaseAddress, exception);
            }

            if (attempt == MaxTries)
            {
                throw Corrupted(-1, output, $"only {target.Position} of {output.SizeBytes} bytes arrived in {MaxTries} tries");
            }

            await Task.Delay(FirstPause * Math.Pow(2, attempt - 1), time, cancellationToken);
        }

        var found = Convert.ToHexStringLower(hash.GetHashAndReset());
        if (found != output.BlobSha256)
        {
            throw Corrupted(-1, output, $"the downloaded ciphertext has the hash {found}");
        }
    }

    private static bool IsBreak(Exception exception) =>
        exception is IOException or HttpRequestException
        || exception is RenderTrustException { Error: RenderTrustError.Unreachable or RenderTrustError.ServerFault or RenderTrustError.Busy };

    private static RenderTrustException Corrupted(int unitIndex, UnitOutput output, string why, Exception? inner = null) => new(
        RenderTrustError.CorruptedOutput,
        $"Output {output.BlobSha256}{(unitIndex >= 0 ? $" of unit {unitIndex}" : "")} was not accepted: {why}. Nothing of it was written; try again, then dispute the unit.",
        inner);
}
