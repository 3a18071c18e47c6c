import static org.objectweb.asm.Opcodes.*;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.objectweb.asm.AnnotationVisitor;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.FieldVisitor;
import org.objectweb.asm.Handle;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Type;

/**
 * Turns every invokedynamic of LambdaMetafactory in a jar into a class of its own, as compilers did before Java 8:
 * Android has no LambdaMetafactory. Annotations that only compilers read are left out.
 * Arguments: the jar to read, the jar to write. Same input, same output.
 */
public final class Desugar {
    private static final String METAFACTORY = "java/lang/invoke/LambdaMetafactory";
    private static final int API = ASM9;

    private final Map<String, byte[]> classes = new TreeMap<>();
    private final Set<String> interfaces = new HashSet<>();
    /** Methods that lambdas call, as owner.name+descriptor: their classes must let another class reach them. */
    private final Set<String> reached = new HashSet<>();

    public static void main(String[] arguments) throws IOException {
        Desugar desugar = new Desugar();
        desugar.read(Path.of(arguments[0]));
        desugar.lookAround();
        desugar.write(Path.of(arguments[1]));
    }

    private void read(Path jar) throws IOException {
        try (ZipFile zip = new ZipFile(jar.toFile())) {
            for (ZipEntry entry : (Iterable<ZipEntry>) zip.stream().map(e -> (ZipEntry) e)::iterator) {
                if (!entry.getName().endsWith(".class")) continue;
                try (InputStream data = zip.getInputStream(entry)) {
                    classes.put(entry.getName(), data.readAllBytes());
                }
            }
        }
    }

    private void lookAround() {
        for (byte[] data : classes.values()) {
            ClassReader reader = new ClassReader(data);
            if ((reader.getAccess() & ACC_INTERFACE) != 0) interfaces.add(reader.getClassName());
            reader.accept(new ClassVisitor(API) {
                @Override
                public MethodVisitor visitMethod(int access, String name, String shape, String generic, String[] thrown) {
                    return new MethodVisitor(API) {
                        @Override
                        public void visitInvokeDynamicInsn(String name, String shape, Handle factory, Object... given) {
                            if (isLambda(factory)) reached.add(key((Handle) given[1]));
                        }
                    };
                }
            }, ClassReader.SKIP_FRAMES | ClassReader.SKIP_DEBUG);
        }
    }

    private void write(Path jar) throws IOException {
        Map<String, byte[]> made = new TreeMap<>();
        for (Map.Entry<String, byte[]> entry : classes.entrySet()) made.put(entry.getKey(), rewrite(entry.getValue(), made));
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(jar))) {
            for (Map.Entry<String, byte[]> entry : made.entrySet()) {
                ZipEntry file = new ZipEntry(entry.getKey());
                file.setTimeLocal(LocalDateTime.of(1981, 1, 1, 0, 0));
                zip.putNextEntry(file);
                zip.write(entry.getValue());
            }
        }
    }

    /** Returns the class without lambdas, and adds those it needs to {@code made}. */
    private byte[] rewrite(byte[] data, Map<String, byte[]> made) {
        ClassReader reader = new ClassReader(data);
        ClassWriter writer = new ClassWriter(0);
        String owner = reader.getClassName();
        boolean inInterface = (reader.getAccess() & ACC_INTERFACE) != 0;
        int[] count = {0};
        reader.accept(new ClassVisitor(API, writer) {
            @Override
            public MethodVisitor visitMethod(int access, String name, String shape, String generic, String[] thrown) {
                int opened = reached.contains(owner + "." + name + shape) ? open(access, inInterface) : access;
                return new MethodVisitor(API, super.visitMethod(opened, name, shape, generic, thrown)) {
                    @Override
                    public AnnotationVisitor visitAnnotation(String type, boolean visible) {
                        return isRead(type, visible) ? super.visitAnnotation(type, visible) : null;
                    }

                    @Override
                    public AnnotationVisitor visitParameterAnnotation(int parameter, String type, boolean visible) {
                        return isRead(type, visible) ? super.visitParameterAnnotation(parameter, type, visible) : null;
                    }

                    @Override
                    public void visitInvokeDynamicInsn(String name, String shape, Handle factory, Object... given) {
                        if (!isLambda(factory)) {
                            throw new IllegalArgumentException(owner + ": unknown invokedynamic of " + factory);
                        }
                        String lambda = owner + "$$Lambda$" + count[0]++;
                        made.put(lambda + ".class", lambda(lambda, name, shape, given));
                        super.visitMethodInsn(INVOKESTATIC, lambda, "create", shape, false);
                    }
                };
            }

            @Override
            public AnnotationVisitor visitAnnotation(String type, boolean visible) {
                return isRead(type, visible) ? super.visitAnnotation(type, visible) : null;
            }

            @Override
            public FieldVisitor visitField(int access, String name, String shape, String generic, Object value) {
                return new FieldVisitor(API, super.visitField(access, name, shape, generic, value)) {
                    @Override
                    public AnnotationVisitor visitAnnotation(String type, boolean visible) {
                        return isRead(type, visible) ? super.visitAnnotation(type, visible) : null;
                    }
                };
            }

            @Override
            public void visitInnerClass(String name, String outer, String inner, int access) {
                if (!name.equals("java/lang/invoke/MethodHandles$Lookup")) super.visitInnerClass(name, outer, inner, access);
            }
        }, 0);
        return writer.toByteArray();
    }

    private static int open(int access, boolean inInterface) {
        if ((access & ACC_PRIVATE) == 0) return access;
        return access & ~ACC_PRIVATE | (inInterface ? ACC_PUBLIC : 0);
    }

    /** Tells whether a running program can see an annotation and this app might: Kotlin's own serves its reflection. */
    private static boolean isRead(String type, boolean visible) {
        return visible && !type.equals("Lkotlin/Metadata;");
    }

    private static boolean isLambda(Handle factory) {
        return factory.getOwner().equals(METAFACTORY);
    }

    private static String key(Handle method) {
        return method.getOwner() + "." + method.getName() + method.getDesc();
    }

    /** Returns the class of one lambda: its fields hold what is captured, its one method calls {@code given[1]}. */
    private byte[] lambda(String lambda, String method, String shape, Object[] given) {
        Type erased = (Type) given[0];
        Handle called = (Handle) given[1];
        Type exact = (Type) given[2];
        Type[] captured = Type.getArgumentTypes(shape);
        ClassWriter writer = new ClassWriter(ClassWriter.COMPUTE_MAXS);
        String[] kinds = kinds(Type.getReturnType(shape).getInternalName(), given);
        writer.visit(V1_8, ACC_FINAL | ACC_SYNTHETIC | ACC_SUPER, lambda, null, "java/lang/Object", kinds);
        for (int i = 0; i < captured.length; i++) {
            writer.visitField(ACC_PRIVATE | ACC_FINAL, "f" + i, captured[i].getDescriptor(), null, null).visitEnd();
        }
        constructor(writer, lambda, captured);
        factory(writer, lambda, shape, captured);
        body(writer, lambda, method, erased, exact, called, captured);
        for (String bridge : bridges(given)) {
            body(writer, lambda, method, Type.getMethodType(bridge), exact, called, captured);
        }
        writer.visitEnd();
        return writer.toByteArray();
    }

    /** Returns the interfaces of a lambda; altMetafactory may name more than one. */
    private static String[] kinds(String first, Object[] given) {
        List<String> found = new ArrayList<>(List.of(first));
        if (given.length > 3) {
            int flags = (Integer) given[3];
            if ((flags & 1) != 0 && !found.contains("java/io/Serializable")) found.add("java/io/Serializable");
            if ((flags & 2) != 0) {
                for (int i = 0; i < (Integer) given[4]; i++) found.add(((Type) given[5 + i]).getInternalName());
            }
        }
        return found.toArray(new String[0]);
    }

    private static List<String> bridges(Object[] given) {
        List<String> found = new ArrayList<>();
        if (given.length > 3 && ((Integer) given[3] & 4) != 0) {
            int at = ((Integer) given[3] & 2) != 0 ? 5 + (Integer) given[4] : 4;
            for (int i = 0; i < (Integer) given[at]; i++) found.add(((Type) given[at + 1 + i]).getDescriptor());
        }
        return found;
    }

    private static void constructor(ClassWriter writer, String lambda, Type[] captured) {
        MethodVisitor code = writer.visitMethod(ACC_PRIVATE, "<init>", Type.getMethodDescriptor(Type.VOID_TYPE, captured), null, null);
        code.visitCode();
        code.visitVarInsn(ALOAD, 0);
        code.visitMethodInsn(INVOKESPECIAL, "java/lang/Object", "<init>", "()V", false);
        int at = 1;
        for (int i = 0; i < captured.length; i++) {
            code.visitVarInsn(ALOAD, 0);
            code.visitVarInsn(captured[i].getOpcode(ILOAD), at);
            code.visitFieldInsn(PUTFIELD, lambda, "f" + i, captured[i].getDescriptor());
            at += captured[i].getSize();
        }
        code.visitInsn(RETURN);
        end(code);
    }

    private static void factory(ClassWriter writer, String lambda, String shape, Type[] captured) {
        MethodVisitor code = writer.visitMethod(ACC_STATIC, "create", shape, null, null);
        code.visitCode();
        code.visitTypeInsn(NEW, lambda);
        code.visitInsn(DUP);
        int at = 0;
        for (Type type : captured) {
            code.visitVarInsn(type.getOpcode(ILOAD), at);
            at += type.getSize();
        }
        code.visitMethodInsn(INVOKESPECIAL, lambda, "<init>", Type.getMethodDescriptor(Type.VOID_TYPE, captured), false);
        code.visitInsn(ARETURN);
        end(code);
    }

    private void body(
        ClassWriter writer, String lambda, String method, Type erased, Type exact, Handle called, Type[] captured
    ) {
        MethodVisitor code = writer.visitMethod(ACC_PUBLIC, method, erased.getDescriptor(), null, null);
        code.visitCode();
        boolean makes = called.getTag() == H_NEWINVOKESPECIAL;
        if (makes) {
            code.visitTypeInsn(NEW, called.getOwner());
            code.visitInsn(DUP);
        }
        List<Type> wanted = new ArrayList<>();
        boolean onObject = called.getTag() != H_INVOKESTATIC && !makes;
        if (onObject) wanted.add(Type.getObjectType(called.getOwner()));
        wanted.addAll(List.of(Type.getArgumentTypes(called.getDesc())));
        int next = 0;
        for (int i = 0; i < captured.length; i++) {
            code.visitVarInsn(ALOAD, 0);
            code.visitFieldInsn(GETFIELD, lambda, "f" + i, captured[i].getDescriptor());
            convert(code, captured[i], wanted.get(next++));
        }
        int at = 1;
        Type[] passed = erased.getArgumentTypes();
        for (int i = 0; i < passed.length; i++) {
            code.visitVarInsn(passed[i].getOpcode(ILOAD), at);
            at += passed[i].getSize();
            convert(code, passed[i], exact.getArgumentTypes()[i]);
            convert(code, exact.getArgumentTypes()[i], wanted.get(next++));
        }
        boolean ofInterface = called.isInterface() || interfaces.contains(called.getOwner());
        code.visitMethodInsn(instruction(called, ofInterface), called.getOwner(), called.getName(), called.getDesc(), ofInterface);
        Type result = makes ? Type.getObjectType(called.getOwner()) : Type.getReturnType(called.getDesc());
        giveBack(code, result, exact.getReturnType(), erased.getReturnType());
        end(code);
    }

    private static int instruction(Handle called, boolean ofInterface) {
        switch (called.getTag()) {
            case H_INVOKESTATIC: return INVOKESTATIC;
            case H_NEWINVOKESPECIAL: return INVOKESPECIAL;
            case H_INVOKEINTERFACE: return INVOKEINTERFACE;
            default: return ofInterface ? INVOKEINTERFACE : INVOKEVIRTUAL;
        }
    }

    private static void giveBack(MethodVisitor code, Type result, Type exact, Type erased) {
        if (erased.getSort() == Type.VOID) {
            if (result.getSort() != Type.VOID) code.visitInsn(result.getSize() == 2 ? POP2 : POP);
            code.visitInsn(RETURN);
            return;
        }
        convert(code, result, exact);
        convert(code, exact, erased);
        code.visitInsn(erased.getOpcode(IRETURN));
    }

    /** Changes the value on the stack from one type to another: a cast, boxing or unboxing. */
    private static void convert(MethodVisitor code, Type from, Type to) {
        boolean fromObject = from.getSort() >= Type.ARRAY, toObject = to.getSort() >= Type.ARRAY;
        if (fromObject && toObject) {
            if (!from.equals(to) && !to.getInternalName().equals("java/lang/Object")) code.visitTypeInsn(CHECKCAST, to.getInternalName());
        } else if (fromObject) {
            Type box = box(to);
            if (!from.equals(box)) code.visitTypeInsn(CHECKCAST, box.getInternalName());
            code.visitMethodInsn(INVOKEVIRTUAL, box.getInternalName(), to.getClassName() + "Value", "()" + to.getDescriptor(), false);
        } else if (toObject) {
            Type box = box(from);
            code.visitMethodInsn(INVOKESTATIC, box.getInternalName(), "valueOf", "(" + from.getDescriptor() + ")" + box.getDescriptor(), false);
        } else if (!from.equals(to)) {
            throw new IllegalArgumentException("a lambda widens " + from + " to " + to);
        }
    }

    private static Type box(Type primitive) {
        switch (primitive.getSort()) {
            case Type.BOOLEAN: return Type.getType(Boolean.class);
            case Type.CHAR: return Type.getType(Character.class);
            case Type.BYTE: return Type.getType(Byte.class);
            case Type.SHORT: return Type.getType(Short.class);
            case Type.INT: return Type.getType(Integer.class);
            case Type.FLOAT: return Type.getType(Float.class);
            case Type.LONG: return Type.getType(Long.class);
            case Type.DOUBLE: return Type.getType(Double.class);
            default: throw new IllegalArgumentException("no box for " + primitive);
        }
    }

    private static void end(MethodVisitor code) {
        code.visitMaxs(0, 0);
        code.visitEnd();
    }
}
