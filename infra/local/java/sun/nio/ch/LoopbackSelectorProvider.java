package sun.nio.ch;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnknownHostException;
import java.nio.channels.ServerSocketChannel;

/**
 * Binds server sockets to a loopback address, {@code -Dstack.address}, if the caller requests any address.
 *
 * <p>The RocketMQ gRPC proxy, its remoting port, the broker's replication port and the ShardingSphere
 * proxy listen on every interface and have no setting for that. A development stack with public
 * passwords must not be reachable from the network, so the JVM uses this provider
 * ({@code -Djava.nio.channels.spi.SelectorProvider}). The channel class it extends is private to this
 * package, so this file is here and is loaded with {@code --patch-module}.
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

    private static SocketAddress toLoopback(SocketAddress address) throws UnknownHostException {
        if (address instanceof InetSocketAddress) {
            InetSocketAddress inet = (InetSocketAddress) address;
            if (inet.getAddress() != null && inet.getAddress().isAnyLocalAddress()) {
                return new InetSocketAddress(InetAddress.getByName(System.getProperty("stack.address")), inet.getPort());
            }
        }
        return address;
    }
}
