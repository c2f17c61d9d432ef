using System.Buffers.Binary;
using System.Security.Cryptography;

namespace RenderTrust.Sealing;

/// <summary>
/// HPKE (RFC 9180), base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-GCM. The key length is the one thing left open, so that
/// the RFC's own vectors (A.3, AES-128-GCM) run through the code that wraps our keys with AES-256-GCM.
/// </summary>
internal sealed class Hpke(int keyBytes)
{
    private const int SecretBytes = 32;
    private const int NonceBytes = 12;
    private const int TagBytes = 16;
    private const ushort KemId = 0x0010;
    private const ushort KdfId = 0x0001;

    /// <summary>The suite of every grant.</summary>
    public static Hpke Aes256 { get; } = new(32);

    private static readonly byte[] KemSuite = [.. "KEM"u8, .. BigEndian(KemId)];

    private readonly byte[] _suite =
        [.. "HPKE"u8, .. BigEndian(KemId), .. BigEndian(KdfId), .. BigEndian(keyBytes == 16 ? (ushort)0x0001 : (ushort)0x0002)];

    public Context SetupSender(RecipientPublicKey recipient, RecipientKeyPair ephemeral, ReadOnlySpan<byte> info)
    {
        using var publicKey = recipient.ToAgreement();
        return KeySchedule(SharedSecret(ephemeral.Agreement, publicKey, ephemeral.PublicKey.Point, recipient.Point), info);
    }

    public Context SetupReceiver(RecipientPublicKey encapsulated, RecipientKeyPair recipient, ReadOnlySpan<byte> info)
    {
        using var publicKey = encapsulated.ToAgreement();
        return KeySchedule(SharedSecret(recipient.Agreement, publicKey, encapsulated.Point, recipient.PublicKey.Point), info);
    }

    internal static byte[] SharedSecret(ECDiffieHellman mine, ECDiffieHellman theirs, byte[] encapsulated, byte[] recipient)
    {
        var agreed = mine.DeriveRawSecretAgreement(theirs.PublicKey);
        try
        {
            var pseudoRandomKey = LabeledExtract(KemSuite, [], "eae_prk"u8, agreed);
            return LabeledExpand(KemSuite, pseudoRandomKey, "shared_secret"u8, [.. encapsulated, .. recipient], SecretBytes);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(agreed);
        }
    }

    internal Context KeySchedule(byte[] sharedSecret, ReadOnlySpan<byte> info)
    {
        byte[] context =
        [
            0x00, // mode_base
            .. LabeledExtract(_suite, [], "psk_id_hash"u8, []),
            .. LabeledExtract(_suite, [], "info_hash"u8, info),
        ];
        var secret = LabeledExtract(_suite, sharedSecret, "secret"u8, []);
        try
        {
            return new Context(
                LabeledExpand(_suite, secret, "key"u8, context, keyBytes),
                LabeledExpand(_suite, secret, "base_nonce"u8, context, NonceBytes),
                LabeledExpand(_suite, secret, "exp"u8, context, SecretBytes));
        }
        finally
        {
            CryptographicOperations.ZeroMemory(secret);
            CryptographicOperations.ZeroMemory(sharedSecret);
        }
    }

    private static byte[] LabeledExtract(byte[] suite, byte[] salt, ReadOnlySpan<byte> label, ReadOnlySpan<byte> keyMaterial) =>
        HKDF.Extract(HashAlgorithmName.SHA256, [.. "HPKE-v1"u8, .. suite, .. label, .. keyMaterial], salt);

    private static byte[] LabeledExpand(byte[] suite, byte[] key, ReadOnlySpan<byte> label, ReadOnlySpan<byte> info, int length)
    {
        byte[] labeled = [.. BigEndian((ushort)length), .. "HPKE-v1"u8, .. suite, .. label, .. info];
        return HKDF.Expand(HashAlgorithmName.SHA256, key, length, labeled);
    }

    private static byte[] BigEndian(ushort value)
    {
        var bytes = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, value);
        return bytes;
    }

    /// <summary>One direction of an HPKE exchange; the message counter moves with every message, as the RFC asks.</summary>
    internal sealed class Context(byte[] key, byte[] baseNonce, byte[] exporterSecret) : IDisposable
    {
        private readonly AesGcm _cipher = new(key, TagBytes);
        private ulong _sequence;

        internal byte[] Key => key;

        internal byte[] BaseNonce => baseNonce;

        internal byte[] ExporterSecret => exporterSecret;

        public byte[] Seal(ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext)
        {
            var sealedBytes = new byte[plaintext.Length + TagBytes];
            _cipher.Encrypt(
                NextNonce(), plaintext, sealedBytes.AsSpan(0, plaintext.Length), sealedBytes.AsSpan(plaintext.Length), associatedData);
            return sealedBytes;
        }

        public byte[] Open(ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext)
        {
            var plaintext = new byte[ciphertext.Length - TagBytes];
            _cipher.Decrypt(NextNonce(), ciphertext[..^TagBytes], ciphertext[^TagBytes..], plaintext, associatedData);
            return plaintext;
        }

        internal void Skip(int messages) => _sequence += (ulong)messages;

        public void Dispose()
        {
            _cipher.Dispose();
            CryptographicOperations.ZeroMemory(key);
        }

        private byte[] NextNonce()
        {
            var nonce = baseNonce.ToArray();
            var low = BinaryPrimitives.ReadUInt64BigEndian(nonce.AsSpan(4));
            BinaryPrimitives.WriteUInt64BigEndian(nonce.AsSpan(4), low ^ _sequence++);
            return nonce;
        }
    }
}
