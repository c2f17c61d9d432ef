using System.Globalization;
using System.Numerics;

namespace RenderTrust.Sealing;

/// <summary>The one curve of the suite: constants, and the check that a received point is on it.</summary>
internal static class P256
{
    public const int CoordinateBytes = 32;
    public const int PointBytes = 1 + (2 * CoordinateBytes);

    private static readonly BigInteger Prime = Parse("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    private static readonly BigInteger B = Parse("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");

    /// <summary>
    /// True for an uncompressed SEC1 point that satisfies y² = x³ - 3x + b. The infinity point has no such encoding and the
    /// cofactor is 1, so this is the whole public key validation. Done here because what an import checks differs by platform,
    /// and an unchecked point gives away bits of the private key. The input is public: the arithmetic need not be constant-time.
    /// </summary>
    public static bool IsOnCurve(ReadOnlySpan<byte> point)
    {
        if (point.Length != PointBytes || point[0] != 0x04)
        {
            return false;
        }

        var x = new BigInteger(point.Slice(1, CoordinateBytes), isUnsigned: true, isBigEndian: true);
        var y = new BigInteger(point.Slice(1 + CoordinateBytes, CoordinateBytes), isUnsigned: true, isBigEndian: true);
        if (x >= Prime || y >= Prime)
        {
            return false;
        }

        var right = ((x * x * x) - (3 * x) + B) % Prime;
        return (y * y) % Prime == (right < 0 ? right + Prime : right);
    }

    private static BigInteger Parse(string hex) => BigInteger.Parse("0" + hex, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
