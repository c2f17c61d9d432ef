using System.Collections.Immutable;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace RenderTrust.TestKit.Surface;

/// <summary>What a compiled assembly uses of another one, read from its metadata tables, in the notation of <see cref="PublicMembers"/> up to the bar.</summary>
internal sealed class UsedMembers : ISignatureTypeProvider<string, object?>
{
    private static readonly string[] OfEveryRecord = ["<Clone>$", "op_Equality", "op_Inequality", "Equals", "GetHashCode", "ToString", "Deconstruct"];

    private readonly MetadataReader reader;
    private readonly string library;

    private UsedMembers(MetadataReader reader, string library) => (this.reader, this.library) = (reader, library);

    /// <summary>Types as <c>type name</c>, members as <c>type::member…</c>; empty if the assembly does not refer to the library.</summary>
    public static IReadOnlyList<string> Of(string assemblyPath, string library)
    {
        using var file = new PEReader(File.OpenRead(assemblyPath));
        return new UsedMembers(file.GetMetadataReader(), library).Read();
    }

    private List<string> Read()
    {
        var types = reader.TypeReferences.Where(IsOfLibrary).Select(handle => $"type {GetTypeFromReference(reader, handle, 0)}");
        var members = reader.MemberReferences.Select(reader.GetMemberReference)
            .Where(member => !OfEveryRecord.Contains(reader.GetString(member.Name)) && OwnerOf(member.Parent) is { } owner && IsOfLibrary(owner)).Select(Signature);
        return [.. types.Concat(members).Distinct()];
    }

    private string Signature(MemberReference member)
    {
        var owner = GetTypeFromReference(reader, OwnerOf(member.Parent)!.Value, 0);
        var name = reader.GetString(member.Name);
        if (member.GetKind() == MemberReferenceKind.Field)
        {
            return $"{owner}::{name}";
        }

        var signature = member.DecodeMethodSignature(this, null);
        var arity = signature.GenericParameterCount > 0 ? $"<{signature.GenericParameterCount}>" : "";
        return $"{owner}::{name}{arity}({string.Join(", ", signature.ParameterTypes)}) : {signature.ReturnType}";
    }

    // The type that declares a member, also where the member is one of a constructed type such as Workflow<int, string>.
    private TypeReferenceHandle? OwnerOf(EntityHandle parent)
    {
        if (parent.Kind == HandleKind.TypeReference)
        {
            return (TypeReferenceHandle)parent;
        }

        if (parent.Kind != HandleKind.TypeSpecification)
        {
            return null;
        }

        var blob = reader.GetBlobReader(reader.GetTypeSpecification((TypeSpecificationHandle)parent).Signature);
        if (blob.ReadSignatureTypeCode() != SignatureTypeCode.GenericTypeInstance)
        {
            return null;
        }

        blob.ReadByte();
        return blob.ReadTypeHandle() is { Kind: HandleKind.TypeReference } type ? (TypeReferenceHandle)type : null;
    }

    private bool IsOfLibrary(TypeReferenceHandle handle)
    {
        var scope = reader.GetTypeReference(handle).ResolutionScope;
        return scope.Kind switch
        {
            HandleKind.TypeReference => IsOfLibrary((TypeReferenceHandle)scope),
            HandleKind.AssemblyReference => reader.GetString(reader.GetAssemblyReference((AssemblyReferenceHandle)scope).Name).StartsWith(library, StringComparison.Ordinal),
            _ => false,
        };
    }

    public string GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind)
    {
        var type = reader.GetTypeReference(handle);
        return type.ResolutionScope.Kind == HandleKind.TypeReference
            ? $"{GetTypeFromReference(reader, (TypeReferenceHandle)type.ResolutionScope, 0)}+{reader.GetString(type.Name)}"
            : $"{reader.GetString(type.Namespace)}.{reader.GetString(type.Name)}";
    }

    public string GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind) => reader.GetString(reader.GetTypeDefinition(handle).Name);

    public string GetTypeFromSpecification(MetadataReader reader, object? genericContext, TypeSpecificationHandle handle, byte rawTypeKind) =>
        reader.GetTypeSpecification(handle).DecodeSignature(this, genericContext);

    public string GetPrimitiveType(PrimitiveTypeCode typeCode) => $"System.{typeCode}";

    public string GetSZArrayType(string elementType) => elementType + "[]";

    public string GetArrayType(string elementType, ArrayShape shape) => $"{elementType}[{new string(',', shape.Rank - 1)}]";

    public string GetByReferenceType(string elementType) => elementType + "&";

    public string GetPointerType(string elementType) => elementType + "*";

    public string GetGenericInstantiation(string genericType, ImmutableArray<string> typeArguments) => $"{genericType}<{string.Join(", ", typeArguments)}>";

    public string GetGenericMethodParameter(object? genericContext, int index) => $"!!{index}";

    public string GetGenericTypeParameter(object? genericContext, int index) => $"!{index}";

    public string GetModifiedType(string modifier, string unmodifiedType, bool isRequired) => unmodifiedType;

    public string GetPinnedType(string elementType) => elementType;

    public string GetFunctionPointerType(MethodSignature<string> signature) => "fnptr";
}
