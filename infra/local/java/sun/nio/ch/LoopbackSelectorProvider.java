package sun.nio.ch;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.channels.ServerSocketChannel;

/**
 * Binds server sockets to the loopback address where the caller asked for "any address".
 *
 * <p>The RocketMQ gRPC proxy, its remoting port, the broker's replication port and the ShardingSphere
 * proxy listen on every interface and offer no setting to change that. A development stack with known
 * passwords must not be reachable from the network, so the JVM is given this provider instead
 * ({@code -Djava.nio.channels.spi.SelectorProvider}). The channel class it extends is private to this
 * package, which is why this file lives here and is loaded with {@code --patch-module}.
 */
public final class LoopbackSelectorProvider extends EPollSelectorProvider {

    @Override
    public ServerSocketChannel openServerSocketChannel() throws IOException {
        return new ServerSocketChannelImpl(this) {
            @Override
            public ServerSocketChannel bind(SocketAddress local, int backlog) throws IOException {
                return super.bind(toLoopback(local), backlog);
            }
        };
    }

    private static SocketAddress toLoopback(SocketAddress address) {
        if (address instanceof InetSocketAddress) {
            InetSocketAddress inet = (InetSocketAddress) address;
            if (inet.getAddress() != null && inet.getAddress().isAnyLocalAddress()) {
                return new InetSocketAddress(InetAddress.getLoopbackAddress(), inet.getPort());
            }
        }
        return address;
    }
}
